"""Where text and title stand in a record: field names, paths into nested records, and layouts of published corpora."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kun.corpus.text import normalise
from kun.params import Preset

PRESETS: dict[Preset, tuple[str, ...]] = {
    "wudao": ("content",),
    "wanjuan": ("content",),
    "skypile": ("text",),
    "mnbvc": ("段落.内容",),
    "mnbvc_qa": ("问", "答"),
}
"""Text fields of published corpora. WuDaoCorpora 2.0: {title, content, dataType}; WanJuan 1.0: {id, content}; SkyPile-150B:
{text}; MNBVC: {文件名, 段落: [{内容, ...}]} for texts, {问, 答} for questions and answers (each as on its download page)."""

MISSING = object()


@dataclass(frozen=True, slots=True)
class Layout:
    """Names that text and title may have. A name may be a path: "a.b" is field b of the record in field a."""

    text: Sequence[str]
    title: Sequence[str]
    joined: bool = False
    """All text fields together, parted by blank lines, rather than the first that a record has."""
    whole: bool = False
    """A record that lacks one of the joined fields has no text: a question without its answer is none."""


PLAIN = Layout(["text"], ["title"])
"""Of formats without fields of their own: passages, pages, notes."""


def layout_of(source: str, layouts: Mapping[str, Preset | list[str]], default: Layout) -> Layout:
    """The layout that `layouts` gives a source or its first folder: a preset's name, or fields to join."""
    chosen = layouts.get(source, layouts.get(source.split("/")[0]))
    if chosen is None:
        return default
    if isinstance(chosen, str):
        return Layout(PRESETS[chosen], default.title, joined=True, whole=True)
    return Layout(chosen, default.title, joined=True)


def text_in(record: Mapping[str, Any], layout: Layout) -> tuple[str, object]:
    """(name, value) of the record's text; MISSING when it has none of the fields, the culprit when one is no string.

    The culprit too, MISSING or blank, when a layout wants them all.
    """
    found = [(name, value) for name in layout.text if (value := at(record, name)) is not MISSING]
    if not found:
        return "", MISSING
    if not layout.joined:
        return found[0]
    if wrong := next(((name, value) for name, value in found if not isinstance(value, str)), None):
        return wrong
    if layout.whole and (lacks := _lacking(layout, dict(found))):
        return lacks
    return "+".join(name for name, _ in found), "\n\n".join(str(value) for _, value in found)


def _lacking(layout: Layout, found: Mapping[str, object]) -> tuple[str, object] | None:
    """The first field that is not there, or blank."""
    values = ((name, found.get(name, MISSING)) for name in layout.text)
    return next(((name, value) for name, value in values if value is MISSING or not normalise(str(value))), None)


def at(record: Mapping[str, Any], name: str) -> object:
    """The value under a name or path, MISSING when there is none; the strings of a list in between become lines."""
    if name in record:
        return record[name]
    first, _, rest = name.partition(".")
    inner = record.get(first, MISSING) if rest else MISSING
    if isinstance(inner, list):
        parts = [at(part, rest) for part in inner if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str)) if parts else MISSING
    return at(inner, rest) if isinstance(inner, dict) else MISSING
