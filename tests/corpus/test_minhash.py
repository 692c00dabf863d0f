import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.minhash import bands_for, jaccard, near_duplicates
from kun.corpus.text import bare, shingles

from .conftest import various

COMMON = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多"
    "定行学法所民得经"
)


def similarity(left: str, right: str, shingle: int = 5) -> float:
    return jaccard(shingles(bare(left), shingle), shingles(bare(right), shingle))


def random_text(source: random.Random, length: int) -> str:
    return "".join(source.choices(COMMON, k=length))


def edited(source: random.Random, text: str, edits: int) -> str:
    characters = list(text)
    for place in source.sample(range(len(text)), edits):
        characters[place] = source.choice("甲乙丙丁戊己庚辛")
    return "".join(characters)


def test_recall_on_edited_texts() -> None:
    source = random.Random(7)
    texts = [random_text(source, source.randint(60, 300)) for _ in range(200)]
    twins = [edited(source, text, source.randint(2, 4)) for text in texts]
    alike = {len(texts) + n for n in range(200) if similarity(texts[n], twins[n]) >= 0.85}
    found = {drop: keep for drop, keep, _ in near_duplicates([*texts, *twins], 5, 128, 0.8, seed=7)}
    assert len(alike) > 100
    assert len(alike & found.keys()) >= 0.95 * len(alike)
    assert all(drop - keep == 200 for drop, keep in found.items())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("河水湖海，a1", max_size=14), max_size=12), st.sampled_from([(3, 0.9), (5, 0.8), (2, 0.3)]))
def test_every_pair_is_really_alike(texts: list[str], setting: tuple[int, float]) -> None:
    shingle, threshold = setting
    found = near_duplicates(texts, shingle, 64, threshold, seed=1)
    dropped = {drop for drop, _, _ in found}
    for drop, keep, score in found:
        assert keep < drop
        assert keep not in dropped  # a dropped text always has a twin that stays
        if min(len(bare(texts[drop])), len(bare(texts[keep]))) >= shingle:
            assert score == similarity(texts[drop], texts[keep], shingle) >= threshold
        else:
            assert bare(texts[drop]) == bare(texts[keep])


def test_short_texts_are_compared_whole() -> None:
    assert near_duplicates(["江", "河", "湖海", "", "", "！", "江。"], 5, 128, 0.8, seed=7) == [
        (4, 3, 1.0),
        (6, 0, 1.0),
    ]


def test_chains_do_not_drag_others_along() -> None:
    first = various(1)[0]
    middle = first[:-12] + "甲乙丙丁戊己庚辛壬癸子丑"
    last = "卯辰巳午未申酉戌亥寅丑子" + middle[12:]
    assert similarity(first, middle) > 0.7 < similarity(middle, last)
    assert similarity(first, last) < 0.7
    assert [(drop, keep) for drop, keep, _ in near_duplicates([first, middle, last], 5, 128, 0.7, seed=7)] == [(1, 0)]


def test_deterministic_and_indifferent_to_strangers() -> None:
    source = random.Random(3)
    texts = [random_text(source, 100) for _ in range(40)]
    texts += [edited(source, text, 2) for text in texts[:20]]
    once = near_duplicates(texts, 5, 128, 0.8, seed=7)
    assert once == near_duplicates(texts, 5, 128, 0.8, seed=7)
    assert once == near_duplicates([*texts, *various(20)], 5, 128, 0.8, seed=7)


def test_no_texts() -> None:
    assert near_duplicates([], 5, 128, 0.8, seed=7) == []


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("permutations", [16, 128, 1024])
def test_bands_fit(threshold: float, permutations: int) -> None:
    bands, rows = bands_for(threshold, permutations)
    assert 1 <= bands * rows <= permutations
    assert rows == 1 or 1 - (1 - threshold**rows) ** bands >= 0.99
