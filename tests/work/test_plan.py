from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.work.plan import make_batches, open_batches, padding_share, resume_plan

COSTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 60), max_size=40)


@given(COSTS, st.integers(1, 200), st.integers(1, 8))
def test_every_key_stands_in_one_batch_and_batches_keep_their_bounds(
    costs: dict[str, int], batch_tokens: int, max_rows: int
) -> None:
    batches = make_batches(costs, batch_tokens, max_rows)
    assert sorted(key for batch in batches for key in batch) == sorted(costs)
    for batch in batches:
        assert 1 <= len(batch) <= max_rows
        assert len(batch) == 1 or len(batch) * max(costs[key] for key in batch) <= batch_tokens
    order = [costs[key] for batch in batches for key in batch]
    assert order == sorted(order, reverse=True), "longest first"


@given(COSTS, st.randoms(use_true_random=False))
def test_the_plan_depends_on_the_set_of_rows_alone(costs: dict[str, int], rng: object) -> None:
    keys = list(costs)
    rng.shuffle(keys)  # type: ignore[attr-defined]
    assert make_batches({key: costs[key] for key in keys}, 100, 4) == make_batches(costs, 100, 4)


@pytest.mark.parametrize(
    ("costs", "batches"),
    [
        ({}, []),
        ({"a": 500}, [["a"]]),  # over the bound, alone
        ({"a": 500, "b": 10, "c": 10}, [["a"], ["b", "c"]]),
        ({"a": 50, "b": 50, "c": 50}, [["a", "b"], ["c"]]),  # 2 x 50 fits exactly
        ({"a": 51, "b": 50}, [["a"], ["b"]]),
        ({"a": 10, "b": 10, "c": 10, "d": 10}, [["a", "b", "c"], ["d"]]),  # rows
    ],
)
def test_bounds_at_their_edges(costs: dict[str, int], batches: list[list[str]]) -> None:
    assert make_batches(costs, 100, 3) == batches


def test_a_resumed_plan_keeps_the_batches_of_the_interrupted_one(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    costs = {f"k{number}": 10 + number for number in range(9)}
    first = resume_plan(file, costs, 1000, 3)
    assert [len(batch) for batch in first] == [3, 3, 3]
    missing = {key: cost for key, cost in costs.items() if key not in first[0]}
    assert resume_plan(file, missing, 1000, 3) == first[1:], "not planned anew: other neighbours, other bits"
    # One row of a batch was stored (the batch had been halved), and new rows came.
    missing = {key: cost for key, cost in missing.items() if key != first[1][0]} | {"new": 99}
    resumed = resume_plan(file, missing, 1000, 3)
    assert resumed[0] == first[2], "still whole"
    assert sorted(key for batch in resumed[1:] for key in batch) == sorted([*first[1][1:], "new"])
    assert open_batches(file, missing) == resumed, "helpers read the same plan"


def test_batches_that_have_become_too_large_are_planned_anew(tmp_path: Path) -> None:
    """Who lowers engine.batch_tokens or max_rows because a run died for want of memory must not get its batches back."""
    file = tmp_path / "plan.json"
    costs = {f"k{number}": 10 for number in range(8)}
    resume_plan(file, costs, 1000, 8)
    assert [len(batch) for batch in resume_plan(file, costs, 40, 8)] == [4, 4]
    assert [len(batch) for batch in resume_plan(file, costs, 1000, 2)] == [2, 2, 2, 2]
    assert [len(batch) for batch in resume_plan(file, costs, 1000, 8)] == [2, 2, 2, 2], "small ones may stay"


@pytest.mark.parametrize(
    "torn", ["", '[["k0", "k1"], ["k2"', "\0\0", '{"k0": 1}', '[["k0"], 3]', '[["k0"], []]', "[[null]]"]
)
def test_a_spoilt_plan_is_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str], torn: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(torn, encoding="utf-8")
    assert resume_plan(file, {"k0": 2, "k1": 1}, 1000, 1) == [["k0"], ["k1"]]
    assert capsys.readouterr().err == f"{file} is spoilt; the missing rows are planned anew\n"
    assert open_batches(file, {"k1"}) == [["k1"]]


def test_padding_share() -> None:
    assert padding_share([["a", "b"], ["c"]], {"a": 30, "b": 10, "c": 20}) == pytest.approx(20 / 80)
    assert padding_share([], {}) == 0.0
