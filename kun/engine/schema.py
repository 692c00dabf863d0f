"""Schemas that a text can be held to: compact JSON that comes to an end whatever the model."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from llguidance import LLMatcher

from kun.errors import ModelError

LAYOUT: Any = {"whitespace_flexible": False, "json_allowed_escapes": 'nrbtf\\"'}
r"""No white space between tokens, which weak models would write for ever; no \uXXXX, for all characters can stand as they are."""

_BOUNDED = re.compile(r"\^(?!.*(?:[*+]|,\})).*\$", re.DOTALL)
"""A pattern that holds the whole text and repeats nothing for ever."""


def check_schema(schema: str) -> None:
    """ModelError in one line unless texts can be held to `schema`, and each would end."""
    compile_schema(schema)
    for fault in open_ends(json.loads(schema)):
        raise ModelError(f"schema: {fault}")


def compile_schema(schema: str) -> str:
    """The grammar of a schema, for llguidance; ModelError names what is no JSON or not supported."""
    try:
        grammar = LLMatcher.grammar_from_json_schema(schema, overrides=LAYOUT)
    except ValueError as error:
        raise ModelError(f"schema: not a JSON object ({error})") from None
    wrong, messages = LLMatcher.validate_grammar_with_warnings(grammar)
    if wrong:
        raise ModelError(f"schema: {' '.join(messages[0].split())}")
    return grammar


def open_ends(schema: Mapping[str, Any]) -> Iterator[str]:
    """What may go on for ever, one line each: a random model writes on where it may, until its tokens are spent.

    Strings need `maxLength`, or a `pattern` from ^ to $ without *, + and {n,}; arrays `maxItems`, integers a `minimum` and a
    `maximum`, objects `additionalProperties: false`; a number may have decimals without end. `enum` and `const` are closed by
    themselves.
    """
    yield from _open_ends(schema, schema, "the text", ())


def _open_ends(schema: Any, root: Mapping[str, Any], place: str, above: tuple[str, ...]) -> Iterator[str]:
    if schema is False or (isinstance(schema, Mapping) and {"enum", "const"} & schema.keys()):
        return
    if not isinstance(schema, Mapping):
        yield f"{place} may be anything; give it a type"
    elif "$ref" in schema:
        yield from _referred(schema["$ref"], root, place, above)
    elif branches := [branch for key in ("anyOf", "oneOf", "allOf") for branch in schema.get(key, [])]:
        for branch in branches:
            yield from _open_ends(branch, root, place, above)
    else:
        types = schema.get("type", [])
        if not types:
            yield f"{place} may be anything; give it a type"
        for kind in [types] if isinstance(types, str) else types:
            yield from _unbounded(kind, schema, place)
        for name, inner in schema.get("properties", {}).items():
            yield from _open_ends(inner, root, f"{place}.{name}".removeprefix("the text."), above)
        for inner in [*schema.get("prefixItems", []), *([schema["items"]] if "items" in schema else [])]:
            yield from _open_ends(inner, root, f"{place}[]", above)


def _referred(name: str, root: Mapping[str, Any], place: str, above: tuple[str, ...]) -> Iterator[str]:
    if name in above:
        yield f"{place} contains itself ({name})"
        return
    target: Any = root
    for step in unquote(name).split("/")[1:]:
        target = target[step.replace("~1", "/").replace("~0", "~")]
    yield from _open_ends(target, root, place, (*above, name))


def _unbounded(kind: str, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    def has(*keys: str) -> bool:
        return not {*keys}.isdisjoint(schema)

    if kind == "string" and not has("maxLength") and _BOUNDED.fullmatch(schema.get("pattern", "")) is None:
        yield f"{place} has no maxLength, so its text need not end"
    if kind == "array" and not has("maxItems"):
        yield f"{place} has no maxItems, so it need not end"
    if kind == "array" and not has("items", "prefixItems"):
        yield f"{place} may hold anything; give it items"
    if kind == "object" and (schema.get("additionalProperties") is not False or has("patternProperties")):
        yield f"{place} may have any property; set additionalProperties to false, without patternProperties"
    if kind == "integer" and not (has("minimum", "exclusiveMinimum") and has("maximum", "exclusiveMaximum")):
        yield f"{place} has no minimum and maximum, so its digits need not end"
    if kind == "number":
        yield f"{place} is a number, whose decimals need not end; take an integer or an enum"
