import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.runs import blocks, runs_of, runs_of_all

TEXTS = st.lists(st.text("河水湖a\U00020000", max_size=9), max_size=6)


@given(TEXTS, st.integers(1, 5))
def test_the_runs_of_many_texts_are_those_of_each(texts: list[str], size: int) -> None:
    words, rows = runs_of_all(texts, size)
    alone = [runs_of(text, size) for text in texts]
    assert rows.tolist() == [place for place, found in enumerate(alone) for _ in found]
    assert words.tolist() == [word for found in alone for word in found.tolist()]
    assert [len(found) for found in alone] == [max(len(text) - size + 1, 0) for text in texts]


@given(st.text("河水湖", min_size=3, max_size=9), st.text("河水湖", min_size=3, max_size=9))
def test_equal_runs_have_equal_numbers_and_others_have_not(left: str, right: str) -> None:
    shared = {left[i : i + 3] for i in range(len(left) - 2)} & {right[i : i + 3] for i in range(len(right) - 2)}
    assert len(np.intersect1d(runs_of(left, 3), runs_of(right, 3))) == len(shared)


@given(st.lists(st.integers(0, 2**17).map(lambda size: "河" * size), max_size=5))
def test_blocks_cover_all_texts_once(texts: list[str]) -> None:
    ranges = list(blocks(texts))
    assert [place for start, end in ranges for place in range(start, end)] == list(range(len(texts)))
    for start, end in ranges:
        held = [len(text) for text in texts[start:end] if text]
        assert len(held) <= 1 or sum(held) <= 2**16
