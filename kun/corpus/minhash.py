"""MinHash signatures of many texts at once, and the bands by which similar texts find each other."""

from collections.abc import Sequence
from itertools import count

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kun.corpus.runs import FACTOR, Words, blocks, mixed, runs_of, runs_of_all

Signatures = NDArray[np.uint32]

RECALL_AT_THRESHOLD = 0.95
"""More similar pairs are proposed more often. The price is false proposals, which cost a comparison each, never a text."""

NARROW = 4
"""Bins of a band from which on less recall will do: a band of 3 finds a random neighbour for most of a million texts."""

RECALL_OF_NARROW = 0.85
"""128 bins and a threshold of 0.5 give 32 bands of 4: 0.87 of the pairs that are just as similar, 0.99 of those at 0.6."""

_EMPTY = np.uint32(2**32 - 1)


def signatures_of(texts: Sequence[str], shingle: int, bins: int, seed: int) -> Signatures:
    """MinHash signatures, [len(texts), bins]; two texts agree in a bin with the probability of their Jaccard similarity.

    One permutation hashing (Li, Owen, Zhang 2012): a shingle's hash says the bin it belongs to and its rank there, so a
    text costs one hash for each shingle instead of one for each shingle and bin. Empty bins borrow from full ones by
    optimal densification (Shrivastava 2017). A text shorter than a shingle is its own only one.
    """
    found = np.full((len(texts), bins), _EMPTY, dtype=np.uint32)
    for start, end in blocks(texts):
        _fill(found[start:end], [_filled(text, shingle) for text in texts[start:end]], shingle, seed)
    _borrow(found, seed)
    return found


def shingle_words(text: str, shingle: int) -> Words:
    """The distinct shingles of a text, as sorted 64-bit words."""
    words = runs_of(_filled(text, shingle), shingle)
    words.sort()
    return words[np.append(True, words[1:] != words[:-1])]


def jaccard(left: Words, right: Words) -> float:
    """Shared words / all words of two sorted arrays without repeats; 0 for two empty ones."""
    both = np.concatenate([left, right])
    both.sort()
    shared = int((both[1:] == both[:-1]).sum())
    union = len(both) - shared
    return shared / union if union else 0.0


def bands_for(threshold: float, bins: int) -> int:
    """Number of bands: the most selective cut of a signature that still proposes RECALL_AT_THRESHOLD of the pairs that are
    exactly as similar as the threshold, or RECALL_OF_NARROW when the bands are NARROW.

    A pair of similarity s shares some band with probability 1 - (1 - s^width)^bands (Leskovec et al., Mining of Massive
    Datasets, 3.4.2).
    """
    for width in range(bins, 1, -1):
        bands = bins // width
        if 1 - (1 - threshold**width) ** bands >= (RECALL_AT_THRESHOLD if width > NARROW else RECALL_OF_NARROW):
            return bands
    return bins


def band_groups(signatures: Signatures, bands: int) -> NDArray[np.int32]:
    """For each row and band the number of its group, [rows, bands]; -1 where no other row has the same band."""
    width = signatures.shape[1] // bands
    groups = np.full((len(signatures), bands), -1, dtype=np.int32)
    n_groups = 0
    for band in range(bands):
        words = np.zeros(len(signatures), dtype=np.uint64)
        for column in signatures[:, band * width : (band + 1) * width].T:
            words = mixed((words ^ column) * FACTOR)
        shared = pl.Series(words).is_duplicated().to_numpy()  # few are; sorting these alone is what makes it fast
        _, numbers = np.unique(words[shared], return_inverse=True)
        groups[shared, band] = numbers + n_groups
        n_groups += int(numbers.max(initial=-1)) + 1
    return groups


def _fill(found: Signatures, texts: Sequence[str], shingle: int, seed: int) -> None:
    """Least rank in each bin, over all shingles of all texts at once."""
    words, rows = runs_of_all(texts, shingle)
    words = mixed(words + np.uint64(seed))
    bins = found.shape[1]
    places = rows * bins + ((words >> np.uint64(32)) * np.uint64(bins) >> np.uint64(32)).astype(np.int64)
    np.minimum.at(found.reshape(-1), places, words.astype(np.uint32))


def _filled(text: str, shingle: int) -> str:
    return text if len(text) >= shingle else text.ljust(shingle, "\0")


def _borrow(found: Signatures, seed: int) -> None:
    """Give each empty bin the rank of a full one, chosen by a hash of the bin and the attempt, the same for all texts."""
    bins = found.shape[1]
    filled = found != _EMPTY
    rows, empty = np.nonzero(~filled)
    keys = mixed(np.arange(bins, dtype=np.uint64) + np.uint64(seed + 1) * np.uint64(1 << 20))
    for attempt in count(1):
        if not len(rows):
            return
        source = (mixed(keys + np.uint64(attempt * int(FACTOR) % 2**64)) % np.uint64(bins)).astype(np.int64)[empty]
        lucky = filled[rows, source]
        found[rows[lucky], empty[lucky]] = found[rows[lucky], source[lucky]]
        rows, empty = rows[~lucky], empty[~lucky]
