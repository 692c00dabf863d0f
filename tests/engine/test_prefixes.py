import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.engine.prefixes import SAVED, SHARED, WIDER, shared_prefixes, telling_prefixes

ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(0, 1), max_size=9)).map(
        lambda row: [row[0]] * SHARED * row[0] + row[1]
    ),
    min_size=1,
    max_size=9,
)
"""With a beginning of no token, of SHARED or of twice as many."""


@pytest.mark.parametrize(
    ("rows", "prefixes"),
    [
        ([[1, 2, 9], [1, 3, 9]], [[1, 2], [1, 3]]),
        ([[1, 2, 9], [1, 3, 9], [4]], [[1, 2], [1, 3], [4]]),
        ([[1], [1, 2, 3]], [[1], [1, 2]]),
        ([[1, 2]], [[1, 2]]),
        ([[1, 2], [1, 2]], [[1, 2], [1, 2]]),
    ],
)
def test_choices_are_told_apart_by_their_prefixes(rows: list[list[int]], prefixes: list[list[int]]) -> None:
    assert telling_prefixes(rows) == prefixes


@given(rows=ROWS)
def test_a_shared_beginning_and_its_rest_are_the_row(rows: list[list[int]]) -> None:
    heads, owners = shared_prefixes(rows)
    assert len(owners) == len(rows)
    assert all(row[: len(heads[owner])] == heads[owner] for row, owner in zip(rows, owners, strict=True))
    if heads == rows:
        return
    rests = [len(row) - len(heads[owner]) for row, owner in zip(rows, owners, strict=True)]
    assert min(rests) >= 1, "the last token's state says what comes next"
    places = len(heads) * max(map(len, heads)) + len(rows) * max(rests)
    assert places <= (1 - SAVED) * len(rows) * max(map(len, rows))
    assert max(map(len, heads)) + max(rests) <= (1 + WIDER) * max(map(len, rows))


def test_rows_behind_the_same_text_share_it() -> None:
    syllabus, other = [7] * SHARED, [8] * (SHARED + 20)
    rows = [[*syllabus, 1, 2], [*other, 3], [*syllabus, 1, 5, 6], [*other, 4, 4], [9] * 60]
    heads, owners = shared_prefixes(rows)
    assert heads == [[*syllabus, 1], other, [9] * 59]
    assert owners == [0, 1, 0, 1, 2]


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2, 3]],
        [[1] * 200, [2] * 200],
        [[]],
        [[1] * SHARED, [1] * SHARED, []],
        [[1] * 999, *([2] * 300 + [n] * 699 for n in range(9))],
        [[1] * (SHARED - 1) + [n] for n in (2, 3)],
    ],
    ids=["one", "nothing in common", "empty", "one empty", "wider than planned", "too short"],
)
def test_where_nothing_is_saved_rows_stay_whole(rows: list[list[int]]) -> None:
    assert shared_prefixes(rows) == (rows, list(range(len(rows))))
