"""Near-duplicate search: MinHash proposes pairs, the true Jaccard similarity of the shingles decides."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kun.corpus.text import bare, shingles

Words = NDArray[np.uint64]

RECALL_AT_THRESHOLD = 0.99
"""Share of the pairs that are exactly as similar as the threshold which the bands must propose; more similar pairs are
proposed more often. The price is false proposals, and those cost a comparison each, never a text."""

_BLOCK = 4096  # shingles hashed at a time: bounds memory for texts of millions of characters


def near_duplicates(
    texts: Sequence[str], shingle: int, permutations: int, threshold: float, seed: int
) -> list[tuple[int, int, float]]:
    """Texts to drop, as (index, index of the earlier kept text, Jaccard of their `bare` shingles >= threshold).

    Goes through the texts in order and drops one if it resembles a text that was kept; so every dropped text has a twin
    that stays, and of a chain a ~ b ~ c only b goes if a and c are not alike. Texts shorter than a shingle have no
    shingles: they are compared whole. Depends on nothing but the arguments.
    """
    letters = [bare(text) for text in texts]
    long = [index for index, text in enumerate(letters) if len(text) >= shingle]
    signatures = np.empty((len(long), permutations), dtype=np.uint32)
    hashes = _Hashes(permutations, seed)
    for row, index in enumerate(long):
        signatures[row] = hashes.signature(letters[index], shingle)
    found = _equal_short(letters, texts, shingle)
    found += [
        (long[row], long[twin], score)
        for row, twin, score in _resembling([letters[index] for index in long], signatures, shingle, threshold)
    ]
    return sorted(found)


def bands_for(threshold: float, permutations: int) -> tuple[int, int]:
    """(bands, rows of a band): the most selective cut of a signature that still proposes RECALL_AT_THRESHOLD.

    A pair of similarity s is proposed with probability 1 - (1 - s^rows)^bands (Leskovec et al., Mining of Massive
    Datasets, 3.4.2).
    """
    for rows in range(permutations, 1, -1):
        bands = permutations // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL_AT_THRESHOLD:
            return bands, rows
    return permutations, 1


def jaccard(left: set[str], right: set[str]) -> float:
    """Shared elements / all elements; 0 for two empty sets."""
    union = len(left | right)
    return len(left & right) / union if union else 0.0


class _Hashes:
    """`permutations` random hash functions on 32-bit words: (a x + b) >> 32 modulo 2^64.

    Strongly universal (Dietzfelbinger 1996), and exact in plain uint64 arithmetic.
    """

    def __init__(self, permutations: int, seed: int) -> None:
        random = np.random.Generator(np.random.PCG64(seed))
        self._factors: Words = random.integers(0, 2**64, size=(permutations, 1), dtype=np.uint64)
        self._offsets: Words = random.integers(0, 2**64, size=(permutations, 1), dtype=np.uint64)

    def signature(self, letters: str, shingle: int) -> NDArray[np.uint32]:
        """Minimum of each hash function over the shingles of a text that has at least one."""
        words = np.unique(_shingle_words(letters, shingle))
        least = np.full(len(self._factors), 2**64 - 1, dtype=np.uint64)
        for start in range(0, len(words), _BLOCK):
            hashed = self._factors * words[start : start + _BLOCK] + self._offsets
            np.minimum(least, hashed.min(axis=1), out=least)
        return (least >> np.uint64(32)).astype(np.uint32)


def _shingle_words(letters: str, shingle: int) -> Words:
    """A 32-bit word for each run of `shingle` characters: a polynomial of the code points, mixed as in splitmix64."""
    codes = np.frombuffer(letters.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    count = len(codes) - shingle + 1
    words = np.zeros(count, dtype=np.uint64)
    for place in range(shingle):
        words = words * np.uint64(0x9E3779B97F4A7C15) + codes[place : place + count]
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words >> np.uint64(32)


def _equal_short(letters: list[str], texts: Sequence[str], shingle: int) -> list[tuple[int, int, float]]:
    first: dict[str, int] = {}
    found = []
    for index, text in enumerate(letters):
        if len(text) < shingle:
            twin = first.setdefault(text or texts[index], index)
            if twin != index:
                found.append((index, twin, 1.0))
    return found


def _resembling(
    letters: list[str], signatures: NDArray[np.uint32], shingle: int, threshold: float
) -> Iterator[tuple[int, int, float]]:
    """Each text with its most similar earlier kept one; buckets hold only kept texts, so they stay small."""
    buckets: dict[tuple[int, int], list[int]] = {}
    for row, keys in enumerate(_shared_bands(signatures, threshold)):
        candidates = sorted({twin for key in keys for twin in buckets.get(key, ())})
        own = shingles(letters[row], shingle) if candidates else set()
        scores = [jaccard(own, shingles(letters[twin], shingle)) for twin in candidates]
        best = max(scores, default=0.0)
        if candidates and best >= threshold:
            yield row, candidates[scores.index(best)], best
            continue
        for key in keys:
            buckets.setdefault(key, []).append(row)


def _shared_bands(signatures: NDArray[np.uint32], threshold: float) -> Iterator[list[tuple[int, int]]]:
    """For each row the (band, hash) pairs that some other row has too: most texts have none and cost no memory."""
    bands, width = bands_for(threshold, signatures.shape[1])
    hashed = np.zeros((len(signatures), bands), dtype=np.uint64)
    for place in range(width):
        column = signatures[:, place : bands * width : width].astype(np.uint64)
        hashed = (hashed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(29)
    shared = np.zeros(hashed.shape, dtype=bool)
    for band in range(bands):
        _, where, times = np.unique(hashed[:, band], return_inverse=True, return_counts=True)
        shared[:, band] = times[where] > 1
    for row in range(len(hashed)):
        yield [(int(band), int(hashed[row, band])) for band in np.flatnonzero(shared[row])]
