"""Long texts cut at paragraph ends into pieces that can stand alone."""

import re

import polars as pl

from kun.corpus.text import text_id

_ENDS = (
    re.compile(r"(?<=\n\n)(?=[^\n])"),  # paragraphs
    re.compile(r"(?<=\n)(?=[^\n])"),  # lines
    re.compile(r"(?<=[。！？!?…；”’」』])(?=[^。！？!?…；”’」』）)\n])|(?<=[.?!] )(?=[A-Z])"),  # sentences
)
"""Where a text may be cut; the next only inside a part that is too long without it."""


def split_texts(texts: pl.DataFrame, size: int) -> pl.DataFrame:
    """Replace each text of more than `size` characters by its pieces, in its place; 0: all stay whole.

    The origin of a piece is that of the whole with "#1" and so on behind it; its id is the hash of the whole's id, this
    number and its own text, so that a paragraph that stands twice has two ids; other columns are those of the whole.
    """
    if not size or not (texts["text"].str.len_chars() > size).any():
        return texts
    cut = [split_text(text, size) for text in texts["text"]]
    parted = (
        texts.with_columns(text=pl.Series(cut, dtype=pl.List(pl.String)))
        .with_columns(place=pl.int_ranges(1, pl.col("text").list.len() + 1), several=pl.col("text").list.len() > 1)
        .explode("text", "place")
    )
    marks = parted.select("several", "id", "place", "text").iter_rows()
    return parted.with_columns(
        id=pl.Series(
            [text_id(f"{whole}#{place}\n{text}") if several else whole for several, whole, place, text in marks]
        ),
        origin=pl.when("several").then(pl.format("{}#{}", "origin", "place")).otherwise("origin"),
        n_chars=pl.col("text").str.len_chars().cast(pl.Int64),
    ).drop("several", "place")


def split_text(text: str, size: int) -> list[str]:
    """The text in pieces of `size` characters at most, cut nowhere but at ends; a sentence stays whole, however long."""
    if len(text) <= size:
        return [text]
    found = [""]
    for unit in _units(text, size, 0):
        if len(found[-1]) + len(unit.rstrip()) <= size:
            found[-1] += unit
        else:
            found.append(unit)
    return [piece for part in found if (piece := part.strip())] or [text]


def _units(text: str, size: int, depth: int) -> list[str]:
    """Parts of the text that are short enough, or cannot be cut; joined they are the text."""
    if len(text) <= size or depth == len(_ENDS):
        return [text]
    return [unit for part in _ENDS[depth].split(text) for unit in _units(part, size, depth + 1)]
