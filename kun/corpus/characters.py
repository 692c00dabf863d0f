"""How many characters of each class many texts have, counted by table look-up: ten times as fast as a regex for each class."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kun.corpus.runs import ASSIGNED, CODES, blocks, codes_of

CLASSES = {
    "space": r"\s",
    "broken": r"[\x{FFFD}\p{Co}]",
    "han": r"[\p{Han}&&\p{L}]",
    "hiragana": r"[\p{Hiragana}&&\p{L}]",
    "hangul": r"[\p{Hangul}&&\p{L}]",
    "ascii": r"[A-Za-z]",
    "latin": r"[\p{Latin}&&\p{L}]",
    "letter": r"\p{L}",
    "stop": r"[，。、；：！？…—“”‘’（）《》.,;!?'\"()]",
    "digit": r"\p{N}",
    "symbol": r"[\p{S}\p{P}]",
}
"""Class -> its characters as a pattern; a character belongs to the first class that has it, or to "other"."""

_NAMES = [*CLASSES, "other"]
_ASCII = _NAMES.index("ascii")


def character_counts(texts: Sequence[str]) -> pl.DataFrame:
    """A row for each text: a column for each class, and "words", runs of ASCII letters."""
    width = len(_NAMES) + 1
    counts = np.zeros((len(texts), width), dtype=np.int64)
    for start, end in blocks(texts):
        block = texts[start:end]
        sizes = np.fromiter((len(text) + 1 for text in block), dtype=np.int64, count=len(block))
        cells = np.repeat(np.arange(len(block)) * width, sizes)
        classes = _table()[codes_of("\n".join(block) + "\n")]
        in_word = classes == _ASCII
        word_starts = in_word & ~np.append(False, in_word[:-1])
        rows = cells[word_starts] + width - 1
        cells += classes
        both = np.concatenate([cells, rows])
        counts[start:end] = np.bincount(both, minlength=counts[start:end].size).reshape(len(block), width)
    counts[:, 0] -= 1  # the line end between texts
    return pl.DataFrame(counts, schema=dict.fromkeys([*_NAMES, "words"], pl.Int64))


@cache
def _table() -> NDArray[np.uint8]:
    """Code point -> place of its class in _NAMES; asked of polars, so that patterns mean what they mean in rules."""
    table = np.full(CODES, len(CLASSES), dtype=np.uint8)
    table[ASSIGNED:] = _NAMES.index("broken")  # variation selectors and private use
    codes = [code for code in range(ASSIGNED) if not 0xD800 <= code <= 0xDFFF]
    characters = pl.Series([chr(code) for code in codes])
    for place, pattern in reversed([*enumerate(CLASSES.values())]):
        found = characters.str.contains(pattern).to_numpy()
        table[np.asarray(codes)[found]] = place
    return table
