import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.minhash import (
    NARROW,
    RECALL_AT_THRESHOLD,
    RECALL_OF_NARROW,
    band_groups,
    bands_for,
    jaccard,
    shingle_words,
    signatures_of,
)
from kun.corpus.text import shingles

from .conftest import edited, random_text

LETTERS = st.text("河水湖海a1", max_size=14)


@given(LETTERS, LETTERS, st.integers(1, 5))
def test_the_similarity_is_that_of_the_sets_of_shingles(left: str, right: str, size: int) -> None:
    both = shingles(left, size) | shingles(right, size)
    if len(left) >= size <= len(right):
        expected = len(shingles(left, size) & shingles(right, size)) / len(both)
    else:  # a shorter text is its own only shingle
        expected = float(left == right)
    assert jaccard(shingle_words(left, size), shingle_words(right, size)) == expected


@settings(deadline=None)
@given(st.lists(LETTERS, min_size=1, max_size=8), st.integers(0, 3))
def test_a_signature_depends_on_its_text_alone(texts: list[str], seed: int) -> None:
    together = signatures_of(texts, 3, 32, seed)
    for row, text in enumerate(texts):
        assert np.array_equal(together[row], signatures_of([text], 3, 32, seed)[0])
    assert not (together == np.uint32(2**32 - 1)).any(), "no bin stays empty"


def test_signatures_agree_as_often_as_shingles_do() -> None:
    source = random.Random(7)
    for share in (0.02, 0.05, 0.1):
        texts = [random_text(source, 600) for _ in range(60)]
        twins = [edited(source, text, round(600 * share)) for text in texts]
        left, right = signatures_of(texts, 5, 128, 7), signatures_of(twins, 5, 128, 7)
        true = np.mean([jaccard(shingle_words(a, 5), shingle_words(b, 5)) for a, b in zip(texts, twins, strict=True)])
        assert (left == right).mean() == pytest.approx(true, abs=0.02)


def test_texts_longer_than_a_block_are_signed_whole() -> None:
    long = random_text(random.Random(1), 70_000)
    assert not np.array_equal(signatures_of([long], 5, 128, 7), signatures_of([long[:60_000]], 5, 128, 7))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("bins", [16, 128, 1024])
def test_bands_propose_enough_and_no_more_selective_cut_does(threshold: float, bins: int) -> None:
    def recall(bands: int, width: int) -> float:
        return 1 - (1 - threshold**width) ** bands

    bands = bands_for(threshold, bins)
    width = bins // bands
    assert 1 <= bands <= bins
    assert width == 1 or recall(bands, width) >= (RECALL_AT_THRESHOLD if width > NARROW else RECALL_OF_NARROW)
    assert width == bins or recall(bins // (width + 1), width + 1) < RECALL_AT_THRESHOLD


@given(st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), max_size=9))
def test_rows_of_a_group_are_those_that_agree_in_its_band(rows: list[list[int]]) -> None:
    signatures = np.array(rows, dtype=np.uint32).reshape(-1, 4)
    groups = band_groups(signatures, 2)
    for band in range(2):
        own = [tuple(row[2 * band : 2 * band + 2]) for row in rows]
        for left in range(len(rows)):
            assert (groups[left, band] >= 0) == (own.count(own[left]) > 1)
            for right in range(len(rows)):
                if groups[left, band] >= 0:
                    assert (groups[left, band] == groups[right, band]) == (own[left] == own[right])
    assert not set(groups[:, 0]) & set(groups[:, 1]) - {-1}, "a number belongs to one band"
