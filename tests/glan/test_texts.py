import pytest

from kun.engine.records import Refusal
from kun.glan.texts import read_answer, standing_alone, whole_lines


@pytest.mark.parametrize(
    ("text", "finish", "read"),
    [
        ("光从一种介质进入另一种介质时改变方向。", "stop", "光从一种介质进入另一种介质时改变方向。"),
        ("光从一种", "length", "cut"),
        ("", "empty", "empty"),
        ("什么是折射", "stop", "echo"),
    ],
)
def test_an_answer_is_whole_and_not_the_question(text: str, finish: str, read: str) -> None:
    found = read_answer("什么是折射？", text, finish)
    assert (found.reason if isinstance(found, Refusal) else found) == read


@pytest.mark.parametrize(
    ("text", "finish", "kept"),
    [("一\n二\n三", "stop", "一\n二\n三"), ("一\n二\n三", "length", "一\n二"), ("一二", "length", "一二")],
)
def test_a_cut_line_leaves_a_free_text(text: str, finish: str, kept: str) -> None:
    assert whole_lines(text, finish) == kept


def test_nothing_is_no_free_text() -> None:
    assert whole_lines(" \n", "stop") == Refusal("empty", "")


def test_what_goes_round_in_circles_is_asked_again() -> None:
    assert whole_lines("一、好的，" + "好的，" * 6, "stop") == Refusal("repetition", "好的，")
    assert read_answer("什么是折射？", "光" + "改变方向。" * 7, "stop") == Refusal("repetition", "改变方向。")


def test_an_english_question_is_in_english() -> None:
    assert standing_alone("Why does light bend in water?", 8, "en") == "Why does light bend in water?"
    assert standing_alone("光为什么在水里弯折？", 8, "en") == Refusal("other_language", "光为什么在水里弯折？")
    assert standing_alone("Explain the word 光 in Chinese optics texts.", 8, "en") == (
        "Explain the word 光 in Chinese optics texts."
    )
