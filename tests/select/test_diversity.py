import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.select import diversity
from kun.select.diversity import (
    SCALE,
    Vectors,
    cluster_quotas,
    coverage,
    facility_location,
    k_center,
    unit_vectors,
)


def drawn(rows: int, dimensions: int = 6, seed: int = 0) -> Vectors:
    return unit_vectors(np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(np.float32))


def similarities(vectors: Vectors) -> np.ndarray:
    """In the units of the module, by plain arithmetic."""
    return np.rint((1 + vectors.astype(np.float64) @ vectors.T.astype(np.float64)) / 2 * SCALE).clip(0, SCALE)


def plain_greedy(vectors: Vectors, count: int) -> list[int]:
    """Every gain anew at every step; the first of equal rows."""
    similar, best, chosen = similarities(vectors), np.zeros(len(vectors)), []
    for _ in range(count):
        gains = [-1 if row in chosen else np.maximum(similar[row] - best, 0).sum() for row in range(len(vectors))]
        chosen.append(int(np.argmax(gains)))
        best = np.maximum(best, similar[chosen[-1]])
    return chosen


@pytest.mark.parametrize("seed", range(20))
def test_acceptance_11_lazy_greedy_is_plain_greedy_and_near_the_optimum(seed: int) -> None:
    vectors = drawn(12, seed=seed)
    chosen = facility_location(vectors, 3)
    assert chosen == plain_greedy(vectors, 3)
    optimum = max(coverage(vectors, list(some)) for some in itertools.combinations(range(12), 3))
    assert coverage(vectors, chosen) >= (1 - 1 / math.e) * optimum


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 50), st.integers(0, 10_000))
def test_lazy_greedy_is_plain_greedy_on_any_set(rows: int, count: int, seed: int) -> None:
    vectors = drawn(rows, seed=seed)
    assert facility_location(vectors, count) == plain_greedy(vectors, min(count, rows))


@pytest.mark.parametrize("choose", [facility_location, k_center])
def test_equal_rows_are_taken_in_their_order(choose) -> None:  # type: ignore[no-untyped-def]
    assert choose(np.repeat(drawn(1), 5, axis=0), 5) == [0, 1, 2, 3, 4]


def test_each_group_is_represented_before_one_is_taken_twice() -> None:
    groups = np.repeat(np.eye(4, dtype=np.float32), [9, 5, 3, 2], axis=0)
    places = np.arange(19)[::-1].copy()
    for chosen in (facility_location(groups, 4), k_center(groups, 4), cluster_quotas(groups, places, 4, 4)):
        assert {int(groups[row].argmax()) for row in chosen} == {0, 1, 2, 3}
    assert facility_location(groups, 4) == [0, 9, 14, 17], "the largest group first, its first row"


def test_k_center_is_within_twice_the_least_radius() -> None:
    vectors = drawn(12)
    distances = np.sqrt(np.maximum(2 - 2 * vectors @ vectors.T, 0))

    def radius(chosen: tuple[int, ...]) -> float:
        return float(distances[list(chosen)].min(axis=0).max())

    best = min(radius(some) for some in itertools.combinations(range(12), 3))
    assert radius(tuple(k_center(vectors, 3))) <= 2 * best + 1e-3


def test_quotas_of_clusters_are_even_as_far_as_they_reach_and_take_the_best_first() -> None:
    groups = np.repeat(np.eye(3, dtype=np.float32), [6, 3, 1], axis=0)
    places = np.array([5, 4, 3, 2, 1, 0, 6, 7, 8, 9])
    chosen = cluster_quotas(groups, places, 7, 3)
    assert sorted(chosen) == [3, 4, 5, 6, 7, 8, 9], "three, three and one"
    assert chosen[:3] == [5, 6, 9], "the best of each, best first"


@pytest.mark.parametrize("count", [0, 1, 7, 30, 40])
def test_the_number_asked_for_without_repeats(count: int) -> None:
    vectors, places = drawn(30), np.arange(30)
    for chosen in (
        facility_location(vectors, count),
        facility_location(vectors, count, seed=3, dense=10),
        k_center(vectors, count),
        cluster_quotas(vectors, places, count, 5),
    ):
        assert len(chosen) == len(set(chosen)) == min(count, 30)


def test_nothing_comes_from_nothing() -> None:
    empty = np.zeros((0, 4), dtype=np.float32)
    assert facility_location(empty, 3) == k_center(empty, 3) == []
    assert cluster_quotas(empty, np.zeros(0, dtype=np.int64), 3, 2) == []


def test_stochastic_greedy_keeps_its_promise_and_its_seed() -> None:
    vectors = drawn(300, 16)
    sampled = facility_location(vectors, 20, seed=5, dense=100)
    exact = facility_location(vectors, 20)
    assert sampled == facility_location(vectors, 20, seed=5, dense=100) != exact
    assert coverage(vectors, sampled) >= (1 - diversity.EPSILON) * coverage(vectors, exact)


def test_large_sets_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole matrix of 4,000 rows would take 32 MB; blocks of 2**18 similarities take about 2.5 MB."""
    vectors = drawn(4000, 8)
    monkeypatch.setattr(diversity, "CELLS", 2**18)
    tracemalloc.start()
    facility_location(vectors, 40, dense=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


def test_the_dense_matrix_takes_two_bytes_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = drawn(2000, 8)
    monkeypatch.setattr(diversity, "CELLS", 2**18)
    tracemalloc.start()
    facility_location(vectors, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 8e6 < peak < 12e6
