"""What reading a raw file gives: records with their place, or the reason why there is none."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kun.corpus.encoding import UNDECODABLE
from kun.corpus.files import EXCERPT, MAX_LINE, Line


@dataclass(frozen=True, slots=True)
class Record:
    """One text with its place: "file:line", or "file:record" in formats without lines; both counted from 1."""

    origin: str
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A line, record or file that gives no text."""

    origin: str
    reason: str
    value: str = ""
    excerpt: str = ""


Item = tuple[str, dict[str, Any]] | Reject
"""Origin and fields of a record, or why there is none."""


def checked_object(value: object, origin: str) -> Item:
    """A parsed value, which must be an object."""
    if isinstance(value, dict):
        return origin, value
    return Reject(origin, "not_an_object", type(value).__name__, quoted(value))


def quoted(value: object) -> str:
    """The beginning of a value as JSON; "" for what is nested too deep to be shown."""
    try:
        return printable(json.dumps(value, ensure_ascii=False, default=str))
    except (ValueError, RecursionError):
        return ""


def unusable(line: Line, origin: str) -> Reject | None:
    """Why nothing can be made of a line; None when something can."""
    if line.too_long:
        return Reject(origin, "line_too_long", f"over {MAX_LINE}", printable(line.text))
    if UNDECODABLE in line.text:
        return Reject(origin, "undecodable", f"{line.text.count(UNDECODABLE)} bad sequences", printable(line.text))
    return None


def repeated(names: Sequence[str]) -> str | None:
    """The first name of a column that stands twice: which of them is meant cannot be told."""
    return next((name for place, name in enumerate(names) if name in names[:place]), None)


def printable(text: str) -> str:
    """The beginning of `text` without the surrogates that UTF-8 cannot hold."""
    return text[:EXCERPT].replace(UNDECODABLE, "\ufffd").encode("utf-8", "replace").decode("utf-8")
