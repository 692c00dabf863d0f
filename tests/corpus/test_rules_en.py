from dataclasses import replace
from typing import Any

import pytest

from .conftest import PARAMS
from .test_rules import reason

GOOD = (
    "The river flows out of the valley, passes the old tree at the end of the village, and slowly runs into the lake. "
    "In the evening the boats come home, and lights go on along the shore. Children have to run after their kites."
)


def english(text: str, **values: Any) -> str:
    limits = replace(PARAMS.clean.english, **values)
    return reason(text, languages=["zh", "en"], english=limits)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, ""),
        ("The river flows slowly out of the green and quiet valley.", "words"),
        ("I am a b c in an on it to of go up so as we do no if he is at by my us a be to of", "word_length"),
        (
            "The river… flows out… of the valley… and slowly runs… into the wide… and very quiet lake. It is a good place.",
            "symbol_words",
        ),
        (
            "The river 1980 2375 3164 4028 5317 6102 and the lake 7249 8023 9158 1200 with 33 boats and the 12 kites.",
            "alphabetic",
        ),
        (
            "River flows out, passes old tree, slowly runs into lake. Boats come home; lights go on. Children run after kites.",
            "stop_words",
        ),
        ("\n".join(f"- the river and the lake number {word}" for word in ("one", "two", "three", "four")), "bullets"),
        (
            "\n".join(
                ["The river flows out of the valley and ..."] * 2
                + ["It slowly runs into the lake, and the boats come home."]
            ),
            "ellipses",
        ),
        (
            "\n".join(
                [
                    "The river flows out of the valley",
                    "It passes the old tree",
                    "And that is the lake",
                    "Boats come home",
                ]
            ),
            "open_ends",
        ),
        (GOOD + " Lorem ipsum dolor sit amet.", "boilerplate"),
        (GOOD + " Please enable JavaScript to view the page.", "boilerplate"),
        (GOOD + " function() { return 1 }", "boilerplate"),
    ],
)
def test_each_rule_names_its_text(text: str, expected: str) -> None:
    assert english(text) == expected


def test_english_goes_when_it_is_not_asked_for() -> None:
    assert reason(GOOD) == "language"
    assert reason(GOOD, languages=["en"]) == ""


def test_chinese_rules_leave_english_alone() -> None:
    assert english(GOOD, min_words=0) == ""
    assert reason(GOOD, languages=["en"], min_cjk_share=1.0, max_open_line_share=0.0) == ""


@pytest.mark.parametrize(
    ("values", "expected"), [({"max_words": 20}, "words"), ({"min_stop_words": 99}, "stop_words"), ({}, "")]
)
def test_limits_are_parameters(values: dict[str, Any], expected: str) -> None:
    assert english(GOOD, **values) == expected
