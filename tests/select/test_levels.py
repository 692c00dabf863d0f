import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kun.select.levels import levels


def table(values: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": [f"{number:02}" for number in range(len(values))], "ira": values}, schema_overrides={"ira": pl.Float64}
    )


@given(values=st.lists(st.none() | st.floats(-3, 3), max_size=40), k=st.integers(1, 6), threshold=st.floats(-1, 1))
def test_levels_are_disjoint_even_and_go_from_easy_to_hard(
    values: list[float | None], k: int, threshold: float
) -> None:
    scores = table(values)
    found = levels(scores, k, threshold)
    assert set(found["id"]) == {i for i, ira in scores.iter_rows() if ira is not None and ira >= threshold}
    assert found["id"].n_unique() == found.height, "no row stands in two levels"
    sizes = [found.filter(pl.col("level") == level).height for level in range(1, k + 1)]
    assert sum(sizes) == found.height and max(sizes) - min(sizes) <= 1
    assert found["level"].is_sorted() and found["rank"].to_list() == list(range(1, found.height + 1))
    assert found.join(scores, on="id", maintain_order="left")["ira"].is_sorted(descending=True)


def test_ties_stand_in_the_order_of_ids_whatever_the_order_of_rows() -> None:
    scores = table([0.5, 0.9, 0.5, 0.1, None])
    found = levels(scores.reverse(), 2, 0.2)
    assert found.rows() == [("01", 1, 1), ("00", 2, 2), ("02", 2, 3)]
