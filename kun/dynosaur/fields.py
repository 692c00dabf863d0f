"""Fields of records: which a task may use, and what of their values a prompt shows."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

IDENTIFIERS = {
    *("id", "ids", "idx", "uid", "guid", "uuid", "qid", "pid"),
    *("md5", "md5sum", "sha1", "sha256", "编号", "序号"),
}
"""Parts of names that number a record and say nothing. Whole parts: `video`, `side` and `width` stay."""

ROW_NUMBERS = {"index", "__index_level_0__"}
"""Whole names that pandas gives to its row numbers; `start_index` is a place in a text."""

MODALITIES = ("image", "audio", "图片", "图像", "音频")
"""In a name: its dataset is about something that is no text."""

PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_A-Za-z]+")


def name_parts(name: str) -> list[str]:
    """Whole parts of a name in small letters: "docId" -> doc, id; "image_md5" -> image, md5."""
    whole = re.findall(r"[a-z]+\d*[a-z]*", name.lower())  # md5sum, IDs
    return [part.lower() for part in PART.findall(name)] + [part for part in whole if part in IDENTIFIERS]


def is_identifier(name: str) -> bool:
    """Does a part of the name say that the values only number the records?"""
    return name.lower() in ROW_NUMBERS or not IDENTIFIERS.isdisjoint(name_parts(name))


def modality(names: Sequence[str]) -> str:
    """The first name that speaks of images or sound, "" when none does."""
    return next((name for name in names if any(word in name.lower() for word in MODALITIES)), "")


def usable(value: object) -> bool:
    """A scalar, a list of strings, or a flat mapping: what instances and prompts can show; null and deeper nesting are not."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, str) for item in value)
    if isinstance(value, dict):
        return bool(value) and all(is_scalar(item) for item in value.values())
    return is_scalar(value)


def is_scalar(value: object) -> bool:
    """Text, number or truth value."""
    return isinstance(value, str | int | float)


def fields_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names that a task may use, in the order of the first row: no identifiers, usable in one of `rows` at least."""
    first = rows[0] if rows else {}
    return [name for name in first if not is_identifier(name) and any(usable(row.get(name)) for row in rows)]


def shown(value: object, limit: int) -> object:
    """`value` as a prompt shows it: `limit` characters of a scalar, as many elements of others as fit into them."""
    if isinstance(value, str):
        return value[:limit]
    if isinstance(value, list):
        kept: list[object] = []
        while len(kept) < len(value) and len(_json([*kept, value[len(kept)]])) <= limit:
            kept.append(value[len(kept)])
        return kept
    if isinstance(value, dict):
        short: dict[str, object] = {}
        for key, item in value.items():
            if len(_json(short | {key: item})) <= limit:
                short[key] = item
        return short
    return value


def sample(rows: Sequence[Mapping[str, Any]], fields: Sequence[str], count: int, limit: int) -> list[dict[str, object]]:
    """The first `count` rows cut down to `fields`; nulls and what a prompt cannot show are left out."""
    return [{name: shown(row[name], limit) for name in fields if usable(row.get(name))} for row in rows[:count]]


def named_labels(row: Mapping[str, Any], labels: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The row with the names of its integer labels; a number that has no name (-1: not annotated) becomes null."""
    return {name: _label(value, labels[name]) if name in labels else value for name, value in row.items()}


def _label(value: object, names: Sequence[str]) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
