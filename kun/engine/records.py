"""Records from the text of models, where no grammar forced them: servers may ignore the schema that they are given."""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from kun.engine.schema import compile_schema

FENCE = re.compile(r"```(?:json)?\s*\n(.*?)\n?```", re.DOTALL)


@dataclass(frozen=True)
class Refusal:
    """Why a text is no record."""

    reason: str
    """empty, cut, not_json, or schema."""
    detail: str
    """For a person: what the parser says, or path and fault in the record."""


def parse_record(text: str, schema: str, finish: str = "stop") -> dict[str, Any] | Refusal:
    """The JSON object in `text`, if it satisfies `schema` (JSON); a fence of Markdown around it is taken off.

    `finish` is that of the completion: a text that was cut is refused even when it parses. ModelError when the schema is wrong.
    """
    if finish == "length":
        return Refusal("cut", text[-40:])
    bare = text.strip()
    if fenced := FENCE.fullmatch(bare):
        bare = fenced[1].strip()
    if not bare:
        return Refusal("empty", "")
    try:
        record = json.loads(bare, parse_constant=_refuse_constant, object_pairs_hook=_once)
        bare.encode()
        json.dumps(record, ensure_ascii=False).encode()  # half of a surrogate pair could be stored nowhere
    except (ValueError, RecursionError) as error:
        return Refusal("not_json", str(error))
    if not isinstance(record, dict):
        return Refusal("schema", f"an object is wanted, not {type(record).__name__}")
    fault = best_match(_validator(schema).iter_errors(record))
    if fault is not None:
        return Refusal("schema", f"{'.'.join(map(str, fault.absolute_path)) or 'record'}: {fault.message}")
    return record


@lru_cache(64)
def _validator(schema: str) -> Draft202012Validator:
    compile_schema(schema)  # refuses references to elsewhere, which the validator would fetch
    return Draft202012Validator(json.loads(schema))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return record
