import pytest

from kun.corpus.facts import different_facts
from kun.corpus.letters import bare
from kun.corpus.minhash import signatures_of
from kun.corpus.neardup import Alike, letters_among, near_duplicates

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
    signatures = signatures_of([bare(BASE), bare(other)], 5, 128, 7)
    twins = near_duplicates(signatures, letters_among([bare(BASE), bare(other)]), Alike(5, 0.4, short_chars=200))
    assert [twin.row for twin in twins] == ([] if two_facts else [1])
