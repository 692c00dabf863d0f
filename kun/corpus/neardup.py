"""Near-duplicates: signatures propose pairs, the true Jaccard similarity of the shingles and a look at the place of the
differences decide."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kun.corpus.facts import different_facts
from kun.corpus.letters import comparable
from kun.corpus.minhash import Signatures, band_groups, bands_for, jaccard, shingle_words, signatures_of

SLACK = 4
"""Standard deviations by which the similarity of signatures may fall short of the threshold before the texts are read."""

GROUP = 256
"""Kept texts that one band remembers: bounds the work on a template with thousands of fillings."""

CHECKS = 32
"""Kept texts that one text is read against, the most similar signatures first."""

WORDS = 4096
"""Texts whose shingles stay in memory: similar texts are read again and again."""


REQUEST_SHINGLE, REQUEST_BINS = 3, 128
"""Characters, and bins of a signature, where short texts are compared."""


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

Verified = dict[tuple[int, int], float]
"""A row and an earlier one -> the Jaccard similarity of near-duplicates, UNLIKE of others."""

UNLIKE = -1.0


def near_duplicates(
    signatures: Signatures, letters_of: Letters, alike: Alike, verified: Verified | None = None
) -> list[Twin]:
    """Rows to drop; `letters_of` is asked for rows that share a band with another.

    Goes through the rows in order and drops one if it resembles a row that was kept; so every dropped row has a twin that
    stays, and of a chain a ~ b ~ c only b goes if a and c are not alike. Depends on nothing but the arguments.

    Pairs in `verified` are not read again: where it holds some, the texts of pairs that it lacks are all that is read. It
    grows by the pairs that were compared.
    """
    verified = {} if verified is None else verified
    groups = band_groups(signatures, bands_for(alike.threshold, signatures.shape[1]))
    least = _least_estimate(alike.threshold, signatures.shape[1])
    suspects = np.flatnonzero((groups >= 0).any(axis=1))
    shared = _shared_groups(suspects, groups)
    verifier = _Verifier(letters_of, alike, verified)
    verifier.read(_unverified(shared, signatures, least, verified) if verified else suspects)
    return _repeats(shared, signatures, least, verifier)


def letters_among(texts: Sequence[str]) -> Letters:
    """For texts that are in memory anyway."""
    return lambda rows: [texts[row] for row in rows.tolist()]


def without_near_duplicates(
    rows: pl.DataFrame, texts: Sequence[str], threshold: float, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows whose text (a request, say: short) is like that of no row before, and the others with `reason`, `value` and
    `threshold` for the ledger; a threshold of 0 keeps all."""
    twins = _twins(comparable(texts), Alike(REQUEST_SHINGLE, threshold), seed) if threshold else []
    ids = rows["id"]
    places = pl.Series([twin.row for twin in twins], dtype=pl.Int64)
    dropped = rows[places].with_columns(
        reason=pl.lit("near_duplicate"),
        value=pl.Series([f"jaccard {t.similarity:.3f} with {ids[t.kept]}" for t in twins], dtype=pl.String),
        threshold=pl.lit(str(threshold)),
    )
    return rows.filter(~pl.int_range(pl.len()).is_in(places.implode())), dropped


def _twins(letters: Sequence[str], alike: Alike, seed: int) -> list[Twin]:
    signatures = signatures_of(letters, alike.shingle, REQUEST_BINS, seed)
    return near_duplicates(signatures, letters_among(letters), alike)


def _least_estimate(threshold: float, bins: int) -> float:
    """The similarity of signatures below which the texts are hardly ever as similar as `threshold`."""
    return threshold - SLACK * float(np.sqrt(threshold * (1 - threshold) / bins))


def _shared_groups(suspects: NDArray[np.int64], groups: NDArray[np.int32]) -> dict[int, list[int]]:
    """Each suspect's groups that have another row, in the order of the rows."""
    own = groups[suspects]
    numbers = own[own >= 0].tolist()
    ends = np.cumsum((own >= 0).sum(axis=1)).tolist()
    return {row: numbers[start:end] for row, start, end in zip(suspects.tolist(), [0, *ends], ends, strict=False)}


def _unverified(
    shared: Mapping[int, list[int]], signatures: Signatures, least: float, verified: Verified
) -> NDArray[np.int64]:
    """Rows of the pairs that are not verified and would be compared, if none of them are alike."""
    rows: set[int] = set()

    def note(row: int, other: int) -> float:
        if (row, other) not in verified:
            rows.update((row, other))
        return verified.get((row, other), UNLIKE)

    _repeats(shared, signatures, least, note)
    return np.array(sorted(rows), dtype=np.int64)


def _repeats(
    shared: Mapping[int, list[int]], signatures: Signatures, least: float, similarity: Callable[[int, int], float]
) -> list[Twin]:
    kept_rows: defaultdict[int, list[int]] = defaultdict(list)
    found = []
    for row, own in shared.items():
        proposed = sorted({other for group in own for other in kept_rows.get(group, ())})
        near = _near(row, proposed, signatures, least) if proposed else []
        twin = next((Twin(row, other, value) for other in near if (value := similarity(row, other)) != UNLIKE), None)
        if twin is not None:
            found.append(twin)
            continue
        for group in own:
            if len(kept_rows[group]) < GROUP:
                kept_rows[group].append(row)
    return found


def _near(row: int, proposed: list[int], signatures: Signatures, least: float) -> list[int]:
    """Of the proposed rows those whose signature is similar enough, the most similar first."""
    estimates = (signatures[proposed] == signatures[row]).mean(axis=1)
    order = np.argsort(-estimates, kind="stable")[:CHECKS]
    return [proposed[place] for place in order.tolist() if estimates[place] >= least]


class _Verifier:
    """Similarity of a row and an earlier one, by their texts unless it is known."""

    def __init__(self, letters_of: Letters, alike: Alike, verified: Verified) -> None:
        self._letters_of, self._alike, self._verified = letters_of, alike, verified
        self._letters: dict[int, str] = {}
        self._words = lru_cache(WORDS)(lambda row: shingle_words(self._letters[row], alike.shingle))

    def read(self, rows: NDArray[np.int64]) -> None:
        self._letters.update(zip(rows.tolist(), self._letters_of(rows), strict=True))

    def __call__(self, row: int, other: int) -> float:
        if (row, other) not in self._verified:
            if unread := [one for one in (row, other) if one not in self._letters]:
                self.read(np.array(unread))
            self._verified[row, other] = self._compare(row, other)
        return self._verified[row, other]

    def _compare(self, row: int, other: int) -> float:
        similarity = jaccard(self._words(row), self._words(other))
        alike = similarity >= self._alike.threshold and not different_facts(
            self._letters[other], self._letters[row], self._alike.short_chars
        )
        return similarity if alike else UNLIKE
