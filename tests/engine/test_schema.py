import json
from typing import Any

import pytest

from kun.engine.schema import check_schema, open_ends
from kun.errors import ModelError
from tests.engine.schemas import SCHEMAS, closed, short, text_of


@pytest.mark.parametrize("name", SCHEMAS)
def test_bounded_schemas_pass(name: str) -> None:
    check_schema(text_of(SCHEMAS[name]))


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('{"type": "strng"}', "Invalid type: strng"),
        ('{"enum": []}', "Unsatisfiable schema"),
        ('{"type": "array", "uniqueItems": true}', 'Unimplemented keys: ."uniqueItems".'),
        ('{"type": "string", "pattern": "(?=a)b"}', "look-around"),
        ('{"$ref": "https://example.org/schema"}', "https://example.org/schema"),
    ],
)
def test_what_cannot_be_compiled_is_one_line(schema: str, says: str) -> None:
    with pytest.raises(ModelError, match=f"^schema: .*{says}") as caught:
        check_schema(schema)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (closed({"题": {"type": "string"}}), "题 has no maxLength"),
        (closed({"题": {"type": "string", "pattern": "^(?:光+。){1,2}$"}}), "题 has no maxLength"),
        (closed({"题": {"type": "string", "pattern": "^光{2,}$"}}), "题 has no maxLength"),
        (closed({"题": {"type": "string", "pattern": "光{1,2}$"}}), "题 has no maxLength"),
        (closed({"题": {"type": ["null", "string"]}}), "题 has no maxLength"),
        (
            closed({"题": {"type": "array", "items": closed({"名": {"type": "string"}}), "maxItems": 2}}),
            "题[].名 has no maxLength",
        ),
        (closed({"题": {"type": "array", "items": short(3)}}), "题 has no maxItems"),
        (closed({"题": {"type": "array", "maxItems": 3}}), "题 may hold anything"),
        (closed({"n": {"type": "integer", "minimum": 0}}), "n has no minimum and maximum"),
        (closed({"n": {"type": "number", "minimum": 0, "maximum": 1}}), "n is a number"),
        (closed({"题": True}), "题 may be anything"),
        (closed({"题": {}}), "题 may be anything"),
        (closed({"题": {"anyOf": [{"type": "null"}, {"type": "string"}]}}), "题 has no maxLength"),
        ({"type": "object", "properties": {"a": short(3)}}, "the text may have any property"),
        (
            closed({"子": {"$ref": "#/$defs/tree"}})
            | {"$defs": {"tree": closed({"子": {"$ref": "#/$defs/tree"}}, [])}},
            "contains itself",
        ),
    ],
)
def test_an_open_end_is_named(schema: dict[str, Any], says: str) -> None:
    (fault,) = open_ends(schema)
    assert says in fault
    with pytest.raises(ModelError, match=r"^schema: "):
        check_schema(json.dumps(schema))
