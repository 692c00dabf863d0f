import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kun.dynosaur.strategies import chosen, mean_cosines, scores

NEW = np.array([[1.0, 0.0], [0.98, 0.2]], dtype=np.float32)
NEAR = np.array([[3.0, 0.3], [2.0, 0.1]], dtype=np.float32)  # like the new ones, and long
MANY = np.array([[0.5, 0.86], [0.55, 0.83], [0.45, 0.9], [0.5, 0.85]], dtype=np.float32)
FAR = np.array([[-1.0, 0.1], [-0.9, 0.05]], dtype=np.float32)
OLD = np.concatenate([NEAR, MANY, FAR])
IDS = ["near1", "near2", "many1", "many2", "many3", "many4", "far1", "far2"]


def picked(strategy: str, budget: int = 2, seed: int = 7) -> set[str]:
    values = scores(strategy, IDS, OLD, NEW, seed, step=2)  # type: ignore[arg-type]
    return {IDS[place] for place in chosen(strategy, IDS, values, budget)}  # type: ignore[arg-type]


def test_similar_takes_what_is_most_like_the_new_tasks() -> None:
    assert picked("similar") == {"near1", "near2"}


def test_diverse_takes_what_is_least_like_the_new_tasks() -> None:
    assert picked("diverse") == {"far1", "far2"}


def test_support_takes_what_is_most_like_all_old_tasks() -> None:
    assert picked("support", budget=4) == {"many1", "many2", "many3", "many4"}


def test_random_hangs_on_the_seed_alone() -> None:
    assert picked("random") == picked("random")
    assert len({frozenset(picked("random", seed=seed)) for seed in range(9)}) > 1
    values = scores("random", IDS, None, None, 7, step=2)
    assert chosen("random", IDS, values, 2) == chosen("random", IDS, values, 8)[:2]


def test_none_takes_nothing() -> None:
    assert chosen("none", IDS, np.zeros(8), 5) == []


@pytest.mark.parametrize("strategy", ["random", "similar", "diverse", "support"])
@pytest.mark.parametrize("budget", [0, 1, 5, 8, 50])
def test_every_strategy_has_the_same_budget(strategy: str, budget: int) -> None:
    assert len(picked(strategy, budget)) == min(budget, len(IDS))


def test_equal_scores_go_by_task_id() -> None:
    twins = np.ones((3, 2), dtype=np.float32)
    values = scores("similar", ["c", "a", "b"], twins, NEW, 7, 2)
    assert chosen("similar", ["c", "a", "b"], values, 2) == [1, 2]


VECTORS = arrays.arrays(np.float32, (7, 3), elements=st.floats(-2, 2, width=32))


@given(VECTORS, VECTORS)
def test_the_mean_cosine_is_that_of_the_whole_matrix(rows: np.ndarray, others: np.ndarray) -> None:
    def unit(vectors: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1)

    assert mean_cosines(rows, others) == pytest.approx((unit(rows) @ unit(others).T).mean(1), abs=1e-6)


def test_fifty_thousand_tasks_take_seconds() -> None:
    vectors = np.random.default_rng(0).standard_normal((50_000, 256), dtype=np.float32)
    begun = time.process_time()
    ids = [f"{number:05d}" for number in range(len(vectors))]
    for strategy in ("support", "diverse"):
        places = chosen(strategy, ids, scores(strategy, ids, vectors, vectors[:1000], 7, 2), 50)
        assert len(places) == 50
    assert time.process_time() - begun < 60
