import pytest

from kun.engine.records import Refusal
from kun.reflection.faults import Pair, without_faults
from kun.reflection.reply import Better
from tests.made import PARAMS, changed

OLD = Pair("什么是蒸发？", "", "蒸发是液体表面变成气体的过程，在任何温度下都会发生。")
ASKED = "请从温度、位置和快慢三个方面比较蒸发和沸腾。"
ANSWER = "蒸发在任何温度下都能进行，只发生在液体表面，比较缓慢；沸腾则要达到沸点，在整个液体里剧烈进行。"


def read(new: Better, old: Pair = OLD, **params: object) -> Better | Refusal:
    (result,) = without_faults([new], [old], changed(PARAMS.reflection, **params))
    return result


def test_a_version_without_fault_stays_as_it_is() -> None:
    new = Better("太简单。", ASKED, ANSWER)
    assert read(new) is new
    assert read(Better("不够详细。", "", ANSWER)) == Better("不够详细。", "", ANSWER)


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (Better("", "什么是 蒸发", ANSWER), "unchanged"),
        (Better("", "", OLD.output + "\n"), "unchanged"),
        (Better("", "蒸发？", ANSWER), "instruction_too_short"),
        (Better("", "蒸发" * 251, ANSWER), "instruction_too_long"),
        (Better("", ASKED, "蒸发很慢。"), "answer_too_short"),
        (Better("", "请比原指令更深入地说明蒸发和沸腾。", ANSWER), "mentions_old"),
        (Better("", ASKED, "与原来的回答相比，" + ANSWER), "mentions_old"),
        (Better("", "", "Better than the original answer: " + ANSWER), "mentions_old"),
        (
            Better("这个回答没有说明沸腾需要的条件。", ASKED, "这个回答没有说明沸腾需要的条件。" + ANSWER),
            "critique_leak",
        ),
        (Better("", "Compare evaporation with boiling in three respects.", ANSWER), "other_language"),
        (
            Better("", "", "Evaporation takes place at any temperature, boiling needs the boiling point."),
            "other_language",
        ),
    ],
)
def test_faults_have_names(new: Better, reason: str) -> None:
    refusal = read(new)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


def test_lengths_count_from_the_parameters() -> None:
    new = Better("", "蒸发？", "蒸发很慢。")
    assert read(new, min_instruction=3, min_answer=5) is new
    assert read(new, min_instruction=3, min_answer=6) == Refusal("answer_too_short", "5")


def test_what_the_old_pair_says_itself_is_no_fault() -> None:
    """A pair about instructions may speak of them, and a critique that quotes the answer leaks nothing."""
    old = Pair("怎样改写原指令？", "", "改写原指令时，先看它缺少哪些条件，再逐条补上。")
    new = Better("改写原指令时，先看它缺少哪些条件", "", "改写原指令时，先看它缺少哪些条件，然后补充背景和格式要求。")
    assert read(new, old) is new


def test_code_may_answer_a_chinese_instruction_that_code_answered_before() -> None:
    old = Pair("用 Python 写一个求和函数。", "", "def total(values):\n    return sum(values)")
    new = Better("没有注释。", "", "def total(values: list[float]) -> float:\n    result = 0.0\n    return result")
    assert read(new, old) is new


def test_an_input_belongs_to_the_request() -> None:
    old = Pair("翻译成英文。", "今天天气很好。", "It is a fine day today, isn't it?")
    assert old.request == "翻译成英文。\n今天天气很好。"
    assert read(Better("", "翻译成英文：今天天气很好", ANSWER), old) == Refusal("unchanged", "")


def test_refusals_pass_through() -> None:
    refusal = Refusal("truncated", "…")
    assert without_faults([refusal, Better("", ASKED, ANSWER)], [OLD, OLD], PARAMS.reflection)[0] is refusal
    assert without_faults([refusal], [OLD], PARAMS.reflection) == [refusal]
