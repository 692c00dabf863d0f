"""Figures from few votes, against tables, other code and draws."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.train.evaluate import auc as auc_of_all_pairs
from kun.votes.statistics import auc, auc_interval, kappa, wilson

SCORES = st.lists(st.integers(0, 9).map(lambda tenth: tenth / 10), min_size=1, max_size=12)


@given(SCORES, SCORES)
def test_the_area_is_the_share_of_pairs_in_order(good: list[float], bad: list[float]) -> None:
    assert auc(good, bad) == pytest.approx(auc_of_all_pairs(good, bad))


@pytest.mark.parametrize(
    ("hits", "of", "expected"),
    [
        (0, 10, (0.0, 0.0, 0.2775)),
        (10, 10, (1.0, 0.7225, 1.0)),
        (81, 263, (0.308, 0.2553, 0.3662)),
        (15, 148, (0.1014, 0.0624, 0.1605)),
    ],
)
def test_wilson_is_that_of_the_tables(hits: int, of: int, expected: tuple[float, ...]) -> None:
    """The last two from Newcombe 1998, table I, method 3."""
    assert tuple(wilson(hits, of)) == pytest.approx(expected, abs=1e-4)


def test_nothing_out_of_nothing_is_no_share() -> None:
    assert tuple(wilson(0, 0)) == (None, None, None)


def test_few_votes_in_order_do_not_prove_a_perfect_judge() -> None:
    few, many = auc_interval(1.0, 3, 3), auc_interval(1.0, 300, 300)
    assert few.high == many.high == 1.0
    assert few.low is not None and many.low is not None
    assert few.low < 0.6 < 0.98 < many.low
    assert auc_interval(0.0, 3, 3).high == pytest.approx(1 - few.low, abs=1e-4)


def test_the_interval_holds_the_true_area_as_often_as_it_says() -> None:
    """Two normal scores apart by 1: the area is 0.76; 400 draws of 20 good and 30 bad votes."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        good, bad = rng.normal(1, 1, 20), rng.normal(0, 1, 30)
        told = auc_interval(auc(good, bad), 20, 30)
        held += told.low <= 0.76025 <= told.high
    assert 0.92 <= held / 400 <= 0.985


def test_kappa_is_agreement_beyond_chance() -> None:
    left = ["keep"] * 25 + ["drop"] * 25
    right = ["keep"] * 20 + ["drop"] * 5 + ["keep"] * 10 + ["drop"] * 15
    assert kappa(left, right) == 0.4  # (0.7 - 0.5) / (1 - 0.5)
    assert kappa(left, left) == 1.0
    assert kappa(["keep"] * 5, ["keep"] * 5) is None
    rng = random.Random(7)
    chance = [[rng.choice("kd") for _ in range(5000)] for _ in range(2)]
    assert abs(kappa(*chance) or 1) < 0.05
