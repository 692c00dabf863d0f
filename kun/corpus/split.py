"""Long texts cut at paragraph ends into pieces that can stand alone."""

import re
from collections.abc import Iterator

from kun.corpus.items import Record
from kun.corpus.text import normalise
from kun.corpus.tidy import strip_markup

_ENDS = (
    re.compile(r"(?<=\n\n)(?=[^\n])"),  # paragraphs
    re.compile(r"(?<=\n)(?=[^\n])"),  # lines
    re.compile(r"(?<=[。！？!?…；”’」』])(?=[^。！？!?…；”’」』）)\n])|(?<=[.?!] )(?=[A-Z])"),  # sentences
)
"""Where a text may be cut; the next only inside a part that is too long without it."""


def in_pieces(record: Record, size: int) -> Iterator[Record]:
    """The record, or if its text has more than `size` characters its pieces, "#1" and so on behind its origin; 0: as it is.

    Markup goes first: half of a tag or of a hidden part would look like text.
    """
    long = size and len(record.text) > size
    texts = split_text(normalise(strip_markup(record.text)), size) if long else [record.text]
    for place, text in enumerate(texts, 1):
        yield Record(f"{record.origin}#{place}", text, record.title) if len(texts) > 1 else record


def split_text(text: str, size: int) -> list[str]:
    """The text in pieces of `size` characters at most, cut nowhere but at ends; a sentence and code between fences stay
    whole, however long."""
    if len(text) <= size:
        return [text]
    found = [""]
    for unit in _units(text, size, 0):
        in_code = found[-1].count("```") % 2 == 1
        if in_code or len(found[-1]) + len(unit.rstrip()) <= size:
            found[-1] += unit
        else:
            found.append(unit)
    return [piece for part in found if (piece := part.strip())] or [text]


def _units(text: str, size: int, depth: int) -> list[str]:
    """Parts of the text that are short enough, or cannot be cut; joined they are the text."""
    if len(text) <= size or depth == len(_ENDS):
        return [text]
    return [unit for part in _ENDS[depth].split(text) for unit in _units(part, size, depth + 1)]
