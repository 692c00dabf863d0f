"""Schemas for tests: bounded everywhere, so that any model comes to an end."""

import json
from typing import Any


def closed(fields: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    """An object of these fields and no other, all required unless said otherwise."""
    needed = list(fields) if required is None else required
    return {"type": "object", "properties": fields, "required": needed, "additionalProperties": False}


def text_of(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False)


def short(limit: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": limit}


POINTS = {"type": "array", "items": short(4), "minItems": 1, "maxItems": 2}
SCHEMAS: dict[str, dict[str, Any]] = {
    "enum": closed({"难度": {"enum": ["易", "中", "难"]}}),
    "courses": closed(
        {
            "学科": short(8),
            "课时": {"type": "integer", "minimum": 1, "maximum": 40},
            "课程": {
                "type": "array",
                "minItems": 1,
                "maxItems": 3,
                "items": closed({"名称": short(10), "要点": POINTS}),
            },
        }
    ),
    "optional": closed(
        {"a": {"type": "boolean"}, "b": {"anyOf": [{"type": "null"}, short(5)]}, "说明": short(4)}, ["b"]
    ),
    "pattern": closed(
        {"编号": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$", "maxLength": 6}, "日": {"const": 1}}
    ),
    "sentences": closed(
        {"题": {"type": "string", "pattern": "^([^。？]{1,6}。){0,2}([^。？]{1,9}？|请[^。？]{1,9}。)$"}}
    ),
    "shared": closed({"题": {"$ref": "#/$defs/points"}, "题二": {"$ref": "#/$defs/points"}})
    | {"$defs": {"points": POINTS}},
}
