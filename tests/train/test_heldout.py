from hypothesis import given
from hypothesis import strategies as st

from kun.train.examples import IGNORED
from kun.train.heldout import share_of


@given(st.lists(st.integers(2, 30), min_size=1, max_size=20), st.integers(1, 5), st.integers(1, 4))
def test_every_row_is_in_one_share_and_shares_are_equally_long(lengths: list[int], at_once: int, world: int) -> None:
    rows = [{"input_ids": [number] * n, "labels": [number] * n} for number, n in enumerate(lengths)]
    shares = [share_of(rows, at_once, rank, world) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    learned = [row for share in shares for batch in share for row in batch if row["labels"][0] != IGNORED]
    assert sorted(row["labels"][0] for row in learned) == list(range(len(rows)))
    blanks = [row for share in shares for batch in share for row in batch if row["labels"][0] == IGNORED]
    assert len(blanks) < world
