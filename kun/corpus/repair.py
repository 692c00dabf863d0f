"""Texts as their authors meant them: mojibake undone, markup away, hard line breaks joined, script converted if asked for.

Few texts need any of it, so patterns in polars find those few first; the rest is not touched by Python.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from kun.corpus.mojibake import mend_mojibake, suspicious
from kun.corpus.script import converter
from kun.corpus.text import normalise
from kun.corpus.tidy import CHINESE_STOP, CUT_END, CUT_SHARE, MIN_WRAP, NEEDS_STRIP, join_block, strip_markup


@dataclass(frozen=True)
class Repaired:
    """Texts in their order, and how many each repair changed."""

    texts: pl.Series
    counts: dict[str, int]


def repair(texts: pl.Series, simplify: bool = False) -> Repaired:
    """Repair normalised texts; the result is normalised too. Raises ConfigError when `simplify` finds no opencc."""
    steps: dict[str, Callable[[pl.Series], pl.Series]] = {
        "mojibake": lambda texts: _applied(mend_mojibake, texts, suspicious(texts)),
        "markup": lambda texts: _applied(strip_markup, texts, texts.str.contains(NEEDS_STRIP)),
        "joined": _joined,
        "simplified": _simplified if simplify else lambda texts: texts,
    }
    counts = {}
    for name, step in steps.items():
        after = step(texts)
        counts[name] = int((after != texts).sum())
        texts = after
    return Repaired(texts, counts)


def _applied(change: Callable[[str], str], texts: pl.Series, needy: pl.Series) -> pl.Series:
    """Change the needy texts; what has changed is normalised again."""
    places = needy.arg_true()
    before = texts.gather(places)
    after = [changed if (changed := change(text)) == text else normalise(changed) for text in before]
    return texts.clone().scatter(places, after) if after else texts


def _joined(texts: pl.Series) -> pl.Series:
    """`join_wrapped`, for which Python sees only blocks with enough line ends that may be cuts."""
    longest = (
        rf"[^\n]{{{MIN_WRAP * 2 // 5 - 1}}}{CUT_END}"  # a cut line has 0.8 of MIN_WRAP columns: half as many letters
    )
    rows = texts.str.contains(longest).arg_true()
    blocks = pl.DataFrame({"row": rows, "block": texts.gather(rows).str.split("\n\n")}).explode("block")
    block = pl.col("block")
    ends, cuts = block.str.count_matches("\n", literal=True), block.str.count_matches(CUT_END)
    wrapped = (ends > 0) & (cuts >= CUT_SHARE * ends) & block.str.contains(longest) & block.str.contains(CHINESE_STOP)
    places = blocks.select(wrapped).to_series().arg_true()
    before = blocks["block"].gather(places)
    after = pl.Series([join_block(text) for text in before], dtype=pl.String)
    changed = places.filter(after != before)
    blocks = blocks.with_columns(blocks["block"].scatter(changed, after.filter(after != before)))
    whole = blocks.filter(pl.col("row").is_in(blocks["row"].gather(changed).unique().implode()))
    whole = whole.group_by("row", maintain_order=True).agg(block.str.join("\n\n"))
    return texts.clone().scatter(whole["row"], whole["block"])  # `scatter` writes where it stands


def _simplified(texts: pl.Series) -> pl.Series:
    convert = converter("t2s", "clean.simplify")
    return pl.Series(texts.name, [convert(text) for text in texts], dtype=pl.String)
