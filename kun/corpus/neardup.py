"""Near-duplicates: signatures propose pairs, the true Jaccard similarity of the shingles and a look at the place of the
differences decide."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein, Opcode

from kun.corpus.minhash import Signatures, band_groups, bands_for, jaccard, shingle_words
from kun.corpus.runs import Words

SLACK = 4
"""Standard deviations by which the similarity of signatures may fall short of the threshold before the texts are read."""

GROUP = 256
"""Kept texts that one band remembers: bounds the work on a template with thousands of fillings."""

CHECKS = 32
"""Kept texts that one text is read against, the most similar signatures first."""

WORDS = 4096
"""Texts whose shingles stay in memory: similar texts are read again and again."""

FACT_PLACES = 2
"""Short texts that differ at this many places or fewer state different facts; copies with noise differ at more."""

FACT_CHARS = 8
"""Letters of the longest fact."""


@dataclass(frozen=True, slots=True)
class Alike:
    """When two texts are near-duplicates."""

    shingle: int
    """Characters of a shingle; the signatures were made with the same."""
    threshold: float
    """Jaccard similarity of the shingles from which on they are."""
    short_chars: int = 0
    """Below this many letters they are not when they differ at one or two places only; see `different_facts`."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A row to drop, the earlier kept row that it repeats, and the Jaccard similarity of their shingles."""

    row: int
    kept: int
    similarity: float


Letters = Callable[[NDArray[np.int64]], Sequence[str]]
"""Rows -> their texts as compared (`bare`)."""


def near_duplicates(signatures: Signatures, letters_of: Letters, alike: Alike) -> list[Twin]:
    """Rows to drop; `letters_of` is asked once, for the rows that share a band with another.

    Goes through the rows in order and drops one if it resembles a row that was kept; so every dropped row has a twin that
    stays, and of a chain a ~ b ~ c only b goes if a and c are not alike. Depends on nothing but the arguments.
    """
    groups = band_groups(signatures, bands_for(alike.threshold, signatures.shape[1]))
    least = _least_estimate(alike.threshold, signatures.shape[1])
    suspects = np.flatnonzero((groups >= 0).any(axis=1))
    letters = dict(zip(suspects.tolist(), letters_of(suspects), strict=True))
    words_of = lru_cache(WORDS)(lambda row: shingle_words(letters[row], alike.shingle))
    kept_rows: defaultdict[int, list[int]] = defaultdict(list)
    found = []
    for row in letters:
        own = groups[row][groups[row] >= 0].tolist()
        proposed = sorted({other for group in own for other in kept_rows.get(group, ())})
        near = _near(row, proposed, signatures, least) if proposed else []
        twin = _twin(row, near, letters, words_of, alike)
        if twin is not None:
            found.append(twin)
            continue
        for group in own:
            if len(kept_rows[group]) < GROUP:
                kept_rows[group].append(row)
    return found


def letters_among(texts: Sequence[str]) -> Letters:
    """For texts that are in memory anyway."""
    return lambda rows: [texts[row] for row in rows.tolist()]


def without_twins(rows: pl.DataFrame, twins: Sequence[Twin], threshold: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that stay, and those with a twin with `reason`, `value` and `threshold` for the ledger."""
    ids = rows["id"]
    places = pl.Series([twin.row for twin in twins], dtype=pl.Int64)
    dropped = rows[places].with_columns(
        reason=pl.lit("near_duplicate"),
        value=pl.Series([f"jaccard {t.similarity:.3f} with {ids[t.kept]}" for t in twins], dtype=pl.String),
        threshold=pl.lit(str(threshold)),
    )
    return rows.filter(~pl.int_range(pl.len()).is_in(places.implode())), dropped


def different_facts(left: str, right: str, short: int) -> bool:
    """True when two short texts differ by a word or a number at one or two places alone, as two fillings of a form do.

    Words that one has more do not count, wherever they stand: sites put them around a copied text, and editors into it.
    """
    if min(len(left), len(right)) >= short:
        return False
    places: list[list[Opcode]] = []
    for edit in Levenshtein.opcodes(left, right):
        if edit.tag != "equal":
            if places and edit.src_start <= places[-1][-1].src_end + 1:  # one equal letter does not part two places
                places[-1].append(edit)
            else:
                places.append([edit])
    return 0 < len(places) <= FACT_PLACES and all(_is_fact(place, left, right) for place in places)


def _is_fact(place: Sequence[Opcode], left: str, right: str) -> bool:
    """A word for another, or a number on one side."""
    here = left[place[0].src_start : place[-1].src_end]
    there = right[place[0].dest_start : place[-1].dest_end]
    numbers = _NUMBER.search(here + there) is not None
    return max(len(here), len(there)) <= FACT_CHARS and (numbers or bool(here and there))


_NUMBER = re.compile(r"[\d零〇一二两三四五六七八九十百千万亿半]")


def _least_estimate(threshold: float, bins: int) -> float:
    """The similarity of signatures below which the texts are hardly ever as similar as `threshold`."""
    return threshold - SLACK * float(np.sqrt(threshold * (1 - threshold) / bins))


def _near(row: int, proposed: list[int], signatures: Signatures, least: float) -> list[int]:
    """Of the proposed rows those whose signature is similar enough, the most similar first."""
    estimates = (signatures[proposed] == signatures[row]).mean(axis=1)
    order = np.argsort(-estimates, kind="stable")[:CHECKS]
    return [proposed[place] for place in order.tolist() if estimates[place] >= least]


def _twin(
    row: int, near: list[int], letters: Mapping[int, str], words_of: Callable[[int], Words], alike: Alike
) -> Twin | None:
    for other in near:
        similarity = jaccard(words_of(row), words_of(other))
        if similarity >= alike.threshold and not different_facts(letters[other], letters[row], alike.short_chars):
            return Twin(row, other, similarity)
    return None
