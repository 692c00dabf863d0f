"""Texts and tables for a terminal."""

import unicodedata
from collections.abc import Sequence

FIGURES = frozenset("0123456789+-.–")
"""What a number begins with; a lone dash stands for none."""


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table: columns aligned by display width, those of numbers to the right, but for the first."""
    lines = [header, *rows]
    widths = [max(display_width(line[column]) for line in lines) for column in range(len(header))]
    right = [column > 0 and all(_is_number(row[column]) for row in rows) for column in range(len(header))]
    return "\n".join("  ".join(map(_pad, line, widths, right)).rstrip() for line in lines)


def _is_number(text: str) -> bool:
    return not text or text[0] in FIGURES


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - display_width(text))
    return space + text if right else text + space


def printable(text: str) -> str:
    """On one line, without control characters: a record must not steer the terminal, nor break a picture's XML."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))


def display_width(text: str) -> int:
    """Columns of a terminal: wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
