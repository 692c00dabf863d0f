import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.report.bins import bins, fixed_bins, round_step, short


def test_bars_of_a_round_width() -> None:
    found = bins(pl.Series([0.12, 0.13, 0.61]), 10)
    assert found is not None
    assert (found.low, found.step, found.counts) == (pytest.approx(0.1), 0.1, [2, 0, 0, 0, 0, 1])
    assert (found.n, found.median, found.largest, found.gathered) == (3, 0.13, 0.61, False)


def test_a_long_tail_is_gathered_in_the_last_bar() -> None:
    found = bins(pl.Series([*range(200), 100_000]))
    assert found is not None and found.gathered
    assert len(found.counts) <= 24 and sum(found.counts) == 201 and found.largest == 100_000


def test_what_is_no_number_is_left_out() -> None:
    found = bins(pl.Series([1.0, None, math.nan, math.inf]))
    assert found is not None and (found.n, found.counts) == (1, [1])
    assert bins(pl.Series([None, math.nan], dtype=pl.Float64)) is None
    assert bins(pl.Series([], dtype=pl.Int64)) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(2, 40))
def test_every_value_is_counted_once(values: list[float], most: int) -> None:
    found = bins(pl.Series(values, dtype=pl.Float64), most)
    assert found is not None
    assert sum(found.counts) == len(values) == found.n
    assert len(found.counts) <= most


def test_steps_are_round() -> None:
    assert [round_step(least, whole=False) for least in (0.03, 0.21, 7, 0)] == pytest.approx([0.05, 0.25, 10, 0.05])
    assert [round_step(least, whole=True) for least in (0.03, 2.1, 21)] == [1, 5, 50]


def test_edges_stay_in_the_bar_that_starts_there() -> None:
    table = fixed_bins({"p": pl.Series([0.15, 0.149, 0.3])}, {"p": 0.05, "q": 1}, "score")
    assert table.rows() == [("p", 0.1, 1), ("p", 0.15, 1), ("p", 0.3, 1)]


def test_short_numbers() -> None:
    assert [short(value) for value in (1234.5, 0.30000000000000004, 12.0, 0.00012345)] == [
        "1,234",
        "0.3",
        "12",
        "0.000123",
    ]
