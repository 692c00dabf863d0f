import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus import meaning
from kun.corpus.meaning import Vectors, same_meaning
from kun.corpus.neardup import Twin

HIDDEN = 24


def spread(rows: int, seed: int = 0) -> Vectors:
    """Random directions about one large common vector, as the means of hidden states lie."""
    source = np.random.default_rng(seed)
    return (30 * np.ones(HIDDEN) + source.normal(size=(rows, HIDDEN))).astype(np.float32)


def by_definition(vectors: Vectors, threshold: float) -> list[tuple[int, int]]:
    """Each row against every earlier one that stays."""
    centred = vectors - vectors.mean(0)
    directions = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    kept: list[int] = []
    gone = []
    for row, direction in enumerate(directions):
        near = [float(direction @ directions[other]) for other in kept]
        if near and max(near) >= threshold:
            gone.append((row, kept[int(np.argmax(near))]))
        else:
            kept.append(row)
    return gone


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.sampled_from([0.3, 0.5, 0.9]), st.integers(0, 99), st.sampled_from([3, 7, 4096]))
def test_every_row_goes_that_resembles_an_earlier_one_that_stays(
    rows: int, threshold: float, seed: int, block: int
) -> None:
    vectors = spread(rows, seed)
    vectors[rows // 2] = vectors[0] + np.float32(0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meaning, "BLOCK", block)
        found = [(twin.row, twin.kept) for twin in same_meaning(vectors, threshold)]
    assert found == by_definition(vectors, threshold)


def test_what_all_rows_share_makes_no_twins() -> None:
    """Raw cosines of these are all above 0.99."""
    vectors = spread(300)
    raw = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (raw @ raw.T).min() > 0.99
    assert same_meaning(vectors, 0.95) == []


def test_clusters_find_the_same_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = spread(600)
    vectors[400:410] = vectors[:10] + np.float32(0.01)
    whole = same_meaning(vectors, 0.98)
    assert [(twin.row, twin.kept) for twin in whole] == [(400 + row, row) for row in range(10)]
    monkeypatch.setattr(meaning, "CLUSTER", 100)
    parts = same_meaning(vectors, 0.98)
    assert [(twin.row, twin.kept) for twin in parts] == [(400 + row, row) for row in range(10)]
    assert all(isinstance(twin, Twin) and twin.similarity > 0.98 for twin in parts)


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int) -> None:
    assert same_meaning(spread(rows), 0.9) == []
