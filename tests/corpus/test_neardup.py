import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.letters import bare
from kun.corpus.minhash import jaccard, shingle_words, signatures_of
from kun.corpus.neardup import Alike, Twin, different_facts, letters_among, near_duplicates

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


FORM = "从{place}到省城的班车每天{hour}点发车，票价便宜，周末人多的时候最好提前两天买票，车站对面有一家小饭馆可以歇脚。"
BASE = FORM.format(place="昆明", hour="七")


@pytest.mark.parametrize(
    ("other", "two_facts"),
    [
        (FORM.format(place="西双版纳", hour="七"), True),
        (FORM.format(place="昆明", hour="十一"), True),
        (FORM.format(place="大理", hour="九"), True),
        (BASE.replace("七点", "十七点"), True),
        (BASE, False),
        (BASE.replace("车站对面", "车站的斜对面"), False),
        ("【转】" + BASE, False),
        (BASE + "更多内容请关注我们的公众号", False),
        (BASE[8:], False),
        (BASE.replace("班", "斑").replace("便宜", "便谊").replace("饭馆", "飯馆"), False),
    ],
    ids=[
        "place",
        "hour",
        "place and hour",
        "one digit more",
        "equal",
        "words put in",
        "more before",
        "more behind",
        "less before",
        "noise",
    ],
)
def test_two_fillings_of_a_form_are_no_copies(other: str, two_facts: bool) -> None:
    assert different_facts(bare(BASE), bare(other), short=200) == two_facts
    assert different_facts(bare(other), bare(BASE), short=200) == two_facts
    assert not different_facts(bare(BASE), bare(other), short=20), "long texts are copies whatever the place"
    dropped = found([BASE, other], Alike(5, 0.4, short_chars=200))
    assert [twin.row for twin in dropped] == ([] if two_facts else [1])
