"""Facility location: seconds and peak memory of lazy greedy, and of plain greedy, which gives the same rows.

    python bench/diversity.py                          # 10,000 random unit vectors, 1,000 chosen: 5 seconds
    python bench/diversity.py --rows 2000 --choose 200 --plain

Random directions are the hardest case for lazy greedy: all gains are nearly equal, so many of them are computed anew.
The libraries submodlib (used by Superfiltering) and apricot-select do the same and are not run here.
"""

import argparse
import resource
import time

import numpy as np

from kun.select.diversity import SCALE, Vectors, coverage, facility_location, unit_vectors

DIMENSIONS = 384  # of all-MiniLM-L6-v2, which Superfiltering embeds with


def main() -> None:
    """One line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--choose", type=int, default=1_000)
    parser.add_argument("--plain", action="store_true", help="also plain greedy: rows x rows x choose comparisons")
    parser.add_argument("--stochastic", action="store_true", help="also the sampling that larger sets get")
    asked = parser.parse_args()
    random = np.random.default_rng(0).normal(size=(asked.rows, DIMENSIONS))
    vectors = unit_vectors(random.astype(np.float32))
    del random
    before = peak_mb()
    chosen = timed("lazy greedy", vectors, lambda: facility_location(vectors, asked.choose, dense=asked.rows))
    print(f"{'':<18} peak memory {peak_mb():,.0f} MB ({before:,.0f} MB before)")
    if asked.stochastic:
        timed("stochastic greedy", vectors, lambda: facility_location(vectors, asked.choose, dense=0))
    if asked.plain:
        plain = timed("plain greedy", vectors, lambda: plain_greedy(vectors, asked.choose))
        print(f"the same rows: {plain == chosen}")


def timed(name, vectors, choose):
    """Run, print and return the chosen rows."""
    start = time.perf_counter()
    chosen = choose()
    seconds = time.perf_counter() - start
    print(
        f"{name:<18} {seconds:7.2f} s  {len(chosen):,} of {len(vectors):,} rows, coverage {coverage(vectors, chosen):,.1f}"
    )
    return chosen


def plain_greedy(vectors: Vectors, count: int) -> list[int]:
    """Every gain anew at every step."""
    similar = np.rint((vectors @ vectors.T + 1) * (SCALE / 2)).clip(0, SCALE).astype(np.uint16)
    best = np.zeros(len(vectors), dtype=np.uint16)
    chosen: list[int] = []
    for _ in range(count):
        gains = np.array([np.maximum(row, best).sum(dtype=np.int64) for row in similar])
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        best = np.maximum(best, similar[chosen[-1]])
    return chosen


def peak_mb() -> float:
    """Of this process, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
