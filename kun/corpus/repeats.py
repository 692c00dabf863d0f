"""The share of a text that its most frequent run of letters covers, of many texts at once.

Few texts repeat anything, so the runs of all are only looked through for one that occurs twice; counting is for those few.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kun.corpus.runs import ASSIGNED, CODES, FACTOR, Words, blocks, codes_of, joined, mixed, polynomials

GRAM = 10
"""Units of the run whose repetition is measured: a letter or digit, or a whole Latin word."""

_SLOTS = 18  # bits: four times as many slots as a block has runs, so one run in eight finds its slot taken by another
_ASCII = np.zeros(CODES, bool)
_ASCII[:128] = [chr(code).isalnum() for code in range(128)]


def top_gram_shares(proses: Sequence[str]) -> NDArray[np.float64]:
    """Share of each prose covered by its most frequent run of GRAM units, the earliest of equals.

    0 unless the run occurs three times and some run twice as long occurs twice: without that, long names that a short
    text needs again and again were half of the drops on real abstracts and encyclopedia entries.
    """
    shares = np.zeros(len(proses))
    for start, end in blocks(proses):
        units, rows = _units(proses[start:end])
        for row in _repeating(units, rows):
            shares[start + row] = _share(units[np.searchsorted(rows, row) : np.searchsorted(rows, row, "right")])
    return shares


def _units(proses: Sequence[str]) -> tuple[Words, NDArray[np.int64]]:
    """The units of all texts as numbers, lower case, and for each the place of its text."""
    sizes = np.fromiter((len(prose) + 1 for prose in proses), dtype=np.int64, count=len(proses))
    codes = codes_of("\n".join(proses) + "\n")
    rows = np.repeat(np.arange(len(proses)), sizes)
    ascii_places = np.flatnonzero(_ASCII[codes])
    units = _letters()[codes].astype(np.uint64)
    if len(ascii_places):
        first = np.append(True, np.diff(ascii_places) > 1)  # of a word
        starts = ascii_places[first]
        inside = ascii_places - np.repeat(starts, np.diff(np.append(np.flatnonzero(first), len(first))))
        marks = mixed(codes[ascii_places] + (inside.astype(np.uint64) << np.uint64(32)))
        units[starts] = np.add.reduceat(marks, np.flatnonzero(first)) | np.uint64(1 << 63)  # never 0: no letter
    there = units != 0
    return units[there], rows[there]


@cache
def _letters() -> NDArray[np.uint32]:
    """Code point -> that of its lower case; 0 for what `bare` leaves out, and for ASCII, which forms words."""
    letters = np.zeros(CODES, dtype=np.uint32)
    for code in range(128, ASSIGNED):
        if (character := chr(code)).isalnum():
            letters[code] = ord(character.lower()[0])
    return letters


def _repeating(units: Words, rows: NDArray[np.int64]) -> list[int]:
    """Texts in which a run of 2 * GRAM units occurs twice."""
    half = polynomials(units, GRAM)
    words = joined(half, GRAM, half, GRAM)
    inside = rows[: len(words)] == rows[2 * GRAM - 1 :] if len(words) else np.zeros(0, dtype=bool)
    rows = rows[: len(words)][inside]
    words = mixed(words[inside] + rows.astype(np.uint64) * FACTOR)
    return np.unique(rows[_twice(words)]).tolist()


def _twice(words: Words) -> NDArray[np.int64]:
    """Places of words that occur twice, at least one for each such word.

    Every word is written into the slot that its first bits name, and the last to come stays there: equal words find each
    other in it, unless another took it from both. Only those that see a stranger there need sorting.
    """
    places = np.arange(len(words))
    slots = (words >> np.uint64(64 - _SLOTS)).astype(np.int64)
    holders = np.zeros(1 << _SLOTS, dtype=np.int64)
    holders[slots] = places
    holder = holders[slots]
    equal = words[holder] == words
    strangers = places[~equal]
    order = strangers[np.argsort(words[strangers])]
    found = order[1:][words[order[1:]] == words[order[:-1]]]
    return np.concatenate([places[equal & (holder != places)], found])


def _share(units: Words) -> float:
    """Of one text; its most frequent run is counted without overlaps."""
    words = polynomials(units, GRAM)
    _, firsts, counts = np.unique(words, return_index=True, return_counts=True)
    top = words[firsts[counts == counts.max()].min()]
    times, free = 0, 0
    for place in np.flatnonzero(words == top).tolist():
        if place >= free:
            times, free = times + 1, place + GRAM
    return times * GRAM / len(units) if times >= 3 else 0.0
