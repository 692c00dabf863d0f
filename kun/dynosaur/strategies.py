"""Which earlier tasks a step of growth trains again, by the embeddings of their instructions.

With I_t the unit vectors of the new tasks and I_p those of the old ones, the scores are the column means of I_t I_p^T (similar,
diverse) and the row means of I_p I_p^T (support). Neither matrix is made: the mean over one side is a product with the mean
vector of that side, so time and memory grow with the number of tasks and not with its square.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kun.corpus.text import unit_hash
from kun.params.dynosaur import ReplayStrategy

BLOCK = 8192
"""Vectors that are in double precision at a time."""

HIGHEST_FIRST = ("similar", "support")
Matrix = NDArray[np.float32]
Scores = NDArray[np.float64]


def scores(
    strategy: ReplayStrategy, ids: Sequence[str], old: Matrix | None, new: Matrix | None, seed: int, step: int
) -> Scores:
    """A number for each old task; `random` needs no vectors, [tasks, hidden] otherwise."""
    if strategy == "random":
        return np.array([unit_hash(seed, step, task) for task in ids])
    if old is None or new is None:
        raise ValueError(f"{strategy} needs embeddings")
    return mean_cosines(old, old if strategy == "support" else new)


def chosen(strategy: ReplayStrategy, ids: Sequence[str], values: Scores, budget: int) -> list[int]:
    """Places of the tasks to replay, the first to be chosen first; equal scores go by task id."""
    if strategy == "none":
        return []
    keys = -values if strategy in HIGHEST_FIRST else values
    order = np.lexsort((np.array(ids, dtype=np.str_), np.round(keys, 12)))
    return [int(place) for place in order[:budget]]


def mean_cosines(rows: Matrix, others: Matrix) -> Scores:
    """Mean cosine of each of `rows` with all of `others`; a vector of zeros has cosine 0 with everything."""
    centre = np.zeros(others.shape[1])
    for block in _unit_blocks(others):
        centre += block.sum(0)
    centre /= max(len(others), 1)
    return np.concatenate([np.zeros(0), *(block @ centre for block in _unit_blocks(rows))])


def _unit_blocks(vectors: Matrix) -> Iterator[Scores]:
    return (_unit(vectors[start : start + BLOCK]) for start in range(0, len(vectors), BLOCK))


def _unit(block: Matrix) -> Scores:
    wide = block.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1.0)
