"""Which rows stand for all: facility location, k-center and cluster quotas on embeddings.

Each function takes unit vectors [rows, dimensions], float32, and gives distinct rows in the order in which they were chosen.
Equal candidates are taken in row order, so whoever sorts the rows by id gets the same rows whatever their order was.
"""

import heapq
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Similarities = NDArray[np.uint16]

SCALE = 2**16 - 1
"""(1 + cosine) / 2 as a whole number: sums are exact, so equal gains are equal, and a matrix takes half of float32."""

DENSE = 20_000  # rows up to which all similarities are held at once: 800 MB
CELLS = 2**24  # similarities computed at a time: 64 MB of float32
EPSILON = 0.1  # what stochastic greedy may lose of the guarantee of greedy (Mirzasoleiman et al. 2015)


def unit_vectors(vectors: Vectors) -> Vectors:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def facility_location(vectors: Vectors, count: int, seed: int = 0, dense: int = DENSE) -> list[int]:
    """`count` rows that cover all: greedy on f(S) = sum over rows i of max over j in S of (1 + cos(i, j)) / 2.

    f is monotone and submodular, so greedy reaches 1 - 1/e = 0.63 of the optimum (Nemhauser et al. 1978). Over `dense` rows
    each step looks at a seeded sample of candidates, which reaches 1 - 1/e - EPSILON on average.
    """
    count = min(count, len(vectors))
    return _lazy(vectors, count) if len(vectors) <= dense else _stochastic(vectors, count, seed)


def k_center(vectors: Vectors, count: int) -> list[int]:
    """`count` rows of which none is far from every row: each is the farthest from those before (Gonzalez 1985).

    The largest distance to a chosen row is at most twice the least possible. The first row is the nearest to the mean.
    """
    if not count or not len(vectors):
        return []
    chosen = [int(_similarities(vectors.mean(axis=0, keepdims=True), vectors)[0].argmax())]
    nearest = _similarities(vectors[chosen], vectors)[0].astype(np.int64)
    while len(chosen) < min(count, len(vectors)):
        nearest[chosen[-1]] = SCALE + 1  # never again, even where all rows are equal
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, _similarities(vectors[chosen[-1:]], vectors)[0])
    return chosen


def cluster_quotas(vectors: Vectors, places: NDArray[np.int64], count: int, clusters: int, seed: int = 0) -> list[int]:
    """`count` rows, as evenly from the clusters of k-means as their sizes allow; of each cluster the lowest `places` first.

    `places` is the rank of each row, without ties.
    """
    from sklearn.cluster import KMeans

    if not len(vectors):
        return []
    means = KMeans(min(clusters, len(vectors)), n_init=1, random_state=seed)
    cluster = means.fit_predict(vectors)
    by_cluster = np.lexsort((places, cluster))
    starts = np.searchsorted(cluster[by_cluster], cluster[by_cluster])
    turns = np.empty(len(vectors), dtype=np.int64)
    turns[by_cluster] = np.arange(len(vectors)) - starts
    return [int(row) for row in np.lexsort((places, turns))[:count]]


def coverage(vectors: Vectors, chosen: list[int]) -> float:
    """f of `facility_location`, 0 to the number of rows."""
    best = np.zeros(len(vectors), dtype=np.uint16)
    for _, block in _blocks(vectors[chosen], vectors):
        best = np.maximum(best, block.max(axis=0))
    return float(best.sum(dtype=np.int64) / SCALE)


def _lazy(vectors: Vectors, count: int) -> list[int]:
    """Greedy with a queue of old gains: a gain only shrinks, so a row whose new gain leads the old ones is the best.

    Gives what plain greedy gives: the sums are exact, and rows of equal gain leave the queue in row order.
    """
    similar = np.empty((len(vectors), len(vectors)), dtype=np.uint16)
    for start, block in _blocks(vectors, vectors):
        similar[start : start + len(block)] = block
    best = np.zeros(len(vectors), dtype=np.uint16)
    queue = [(-int(row.sum(dtype=np.int64)), number) for number, row in enumerate(similar)]
    heapq.heapify(queue)
    chosen: list[int] = []
    while len(chosen) < count:
        covered = int(best.sum(dtype=np.int64))
        while True:
            _, row = heapq.heappop(queue)
            fresh = (-_gain(similar[row], best, covered), row)
            if not queue or fresh <= queue[0]:
                break
            heapq.heappush(queue, fresh)
        chosen.append(row)
        best = np.maximum(best, similar[row])
    return chosen


def _gain(row: Similarities, best: Similarities, covered: int) -> int:
    return int(np.maximum(row, best).sum(dtype=np.int64)) - covered


def _stochastic(vectors: Vectors, count: int, seed: int) -> list[int]:
    """Greedy in which each step compares rows / count * ln(1 / EPSILON) candidates, drawn among those not yet chosen."""
    random = np.random.default_rng(seed)
    size = math.ceil(len(vectors) / max(count, 1) * math.log(1 / EPSILON))
    best = np.zeros(len(vectors), dtype=np.uint16)
    left = np.arange(len(vectors))
    chosen: list[int] = []
    while len(chosen) < count:
        drawn = np.sort(random.choice(left, min(size, len(left)), replace=False))
        covered = [np.maximum(block, best).sum(axis=1, dtype=np.int64) for _, block in _blocks(vectors[drawn], vectors)]
        row = int(drawn[np.concatenate(covered).argmax()])
        chosen.append(row)
        left = np.delete(left, np.searchsorted(left, row))
        best = np.maximum(best, _similarities(vectors[row : row + 1], vectors)[0])
    return chosen


def _blocks(some: Vectors, vectors: Vectors) -> Iterator[tuple[int, Similarities]]:
    """Similarities of `some` with all `vectors`, a few rows at a time, each block with the place of its first row."""
    rows = max(1, CELLS // max(1, len(vectors)))
    for start in range(0, len(some), rows):
        yield start, _similarities(some[start : start + rows], vectors)


def _similarities(some: Vectors, vectors: Vectors) -> Similarities:
    """(1 + cosine) / 2 in units of 1 / SCALE, [len(some), len(vectors)]."""
    cosines = some @ vectors.T
    cosines += 1
    cosines *= SCALE / 2
    return np.rint(cosines, out=cosines).clip(0, SCALE, out=cosines).astype(np.uint16)
