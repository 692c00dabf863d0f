import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kun.tables.rules import Rule, split_by_rules

LONG = Rule(pl.col("n") >= 3, pl.col("n"), 3)
EVEN = Rule(pl.col("n") % 2 == 0, pl.col("n"), "even")


def test_the_first_broken_rule_in_mapping_order_is_the_reason() -> None:
    frame = pl.DataFrame({"id": ["a", "b", "c", "d"], "n": [1, 2, 3, 4]})
    split = split_by_rules(frame, {"short": LONG, "odd": EVEN})
    assert split.kept.to_dicts() == [{"id": "d", "n": 4}]
    assert split.dropped.select("id", "reason", "value", "threshold").rows() == [
        ("a", "short", "1", "3"),
        ("b", "short", "2", "3"),
        ("c", "odd", "3", "even"),
    ]
    swapped = split_by_rules(frame, {"odd": EVEN, "short": LONG})
    assert swapped.dropped["reason"].to_list() == ["odd", "short", "odd"]


def test_null_counts_as_broken() -> None:
    frame = pl.DataFrame({"n": [None, 4]}, schema={"n": pl.Int64})
    split = split_by_rules(frame, {"short": LONG})
    assert split.kept["n"].to_list() == [4]
    assert split.dropped.select("reason", "value").rows() == [("short", None)]


def test_a_rule_sees_all_rows_even_those_that_another_dropped() -> None:
    """Percentiles and ranks are taken over the table that came in, so rules do not depend on each other's order."""
    frame = pl.DataFrame({"n": [1, 3, 5]})
    above_mean = Rule(pl.col("n") >= pl.col("n").mean(), pl.col("n"))
    split = split_by_rules(frame, {"short": LONG, "below_mean": above_mean})
    assert split.kept["n"].to_list() == [3, 5]


def test_no_rules_and_no_rows_keep_the_columns_of_a_split() -> None:
    frame = pl.DataFrame({"id": ["a"], "n": [1]})
    split = split_by_rules(frame, {})
    assert split.kept.equals(frame)
    assert split.dropped.height == 0
    assert split.dropped.columns == ["id", "n", "reason", "value", "threshold"]
    empty = split_by_rules(frame.clear(), {"short": LONG})
    assert (empty.kept.height, empty.dropped.height) == (0, 0)
    assert empty.dropped.columns == ["id", "n", "reason", "value", "threshold"]


@given(st.lists(st.none() | st.integers(-3, 6), max_size=40))
def test_every_row_goes_one_way_in_order_and_unchanged(numbers: list[int | None]) -> None:
    frame = pl.DataFrame({"row": range(len(numbers)), "n": numbers}, schema={"row": pl.Int64, "n": pl.Int64})
    split = split_by_rules(frame, {"short": LONG, "odd": EVEN})
    assert split.kept["row"].is_sorted() and split.dropped["row"].is_sorted()
    both = pl.concat([split.kept, split.dropped.select(frame.columns)]).sort("row")
    assert both.equals(frame)
    assert all(n is not None and n >= 3 and n % 2 == 0 for n in split.kept["n"])
