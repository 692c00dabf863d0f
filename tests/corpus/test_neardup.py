import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kun.corpus.letters import bare
from kun.corpus.minhash import jaccard, shingle_words, signatures_of
from kun.corpus.neardup import Alike, Twin, Verified, letters_among, near_duplicates

from .conftest import edited, random_text, various


def found(texts: list[str], alike: Alike, bins: int = 128) -> list[Twin]:
    letters = [bare(text) or text for text in texts]
    return near_duplicates(signatures_of(letters, alike.shingle, bins, 7), letters_among(letters), alike)


def similarity(left: str, right: str, shingle: int = 5) -> float:
    return jaccard(shingle_words(bare(left), shingle), shingle_words(bare(right), shingle))


@pytest.mark.parametrize(("share", "recall"), [(0.02, 0.98), (0.05, 0.95)])
def test_recall_on_edited_texts(share: float, recall: float) -> None:
    source = random.Random(7)
    texts = [random_text(source, source.randint(250, 600)) for _ in range(200)]
    twins = [edited(source, text, round(len(text) * share)) for text in texts]
    twin_of = {twin.row: twin.kept for twin in found([*texts, *twins], Alike(5, 0.5))}
    assert len(twin_of) >= recall * 200
    assert all(row - kept == 200 for row, kept in twin_of.items())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("河水湖海，a1", max_size=14), max_size=12), st.sampled_from([(3, 0.9), (5, 0.8), (2, 0.3)]))
def test_every_pair_is_really_alike(texts: list[str], setting: tuple[int, float]) -> None:
    shingle, threshold = setting
    letters = [bare(text) or text for text in texts]
    twins = found(texts, Alike(shingle, threshold), bins=64)
    dropped = {twin.row for twin in twins}
    for twin in twins:
        assert twin.kept < twin.row
        assert twin.kept not in dropped, "a dropped text always has a twin that stays"
        words = [shingle_words(letters[row], shingle) for row in (twin.row, twin.kept)]
        assert twin.similarity == jaccard(*words) >= threshold


def test_short_texts_are_compared_whole() -> None:
    texts = ["江", "河", "湖海", "！", "？", "江。", "！"]
    assert found(texts, Alike(5, 0.8)) == [Twin(5, 0, 1.0), Twin(6, 3, 1.0)]


def test_chains_do_not_drag_others_along() -> None:
    first = various(1)[0]
    middle = first[:-12] + "甲乙丙丁戊己庚辛壬癸子丑"
    last = "卯辰巳午未申酉戌亥寅丑子" + middle[12:]
    assert similarity(first, middle) > 0.7 < similarity(middle, last)
    assert similarity(first, last) < 0.7
    assert [(twin.row, twin.kept) for twin in found([first, middle, last], Alike(5, 0.7))] == [(1, 0)]


def test_deterministic_and_indifferent_to_strangers() -> None:
    source = random.Random(3)
    texts = [random_text(source, 100) for _ in range(40)]
    texts += [edited(source, text, 2) for text in texts[:20]]
    once = found(texts, Alike(5, 0.8))
    assert len(once) == 20
    assert once == found(texts, Alike(5, 0.8)) == found([*texts, *various(20)], Alike(5, 0.8))


def test_no_texts() -> None:
    assert found([], Alike(5, 0.8)) == []


TEXTS = st.lists(st.text("河水湖海山", min_size=6, max_size=14), max_size=16)


@settings(deadline=None, max_examples=60)
@given(TEXTS, TEXTS, st.randoms())
def test_verified_pairs_change_nothing_and_are_not_read_again(
    old: list[str], new: list[str], source: random.Random
) -> None:
    alike = Alike(2, 0.4)

    def twins(texts: list[str], known: Verified) -> tuple[list[Twin], set[str]]:
        read: set[str] = set()

        def letters(rows: NDArray[np.int64]) -> list[str]:
            read.update(texts[row] for row in rows)
            return [texts[row] for row in rows]

        return near_duplicates(signatures_of(texts, 2, 64, 7), letters, alike, known), read

    old = list(dict.fromkeys(old))
    known: Verified = {}
    twins(old, known)
    assert twins(old, dict(known))[0] == twins(old, {})[0]
    assert not known or not twins(old, dict(known))[1], "nothing is new"
    both = list(dict.fromkeys([*old, *new]))
    source.shuffle(both)
    moved = {(both.index(old[row]), both.index(old[other])): value for (row, other), value in known.items()}
    assert twins(both, moved)[0] == twins(both, {})[0]
