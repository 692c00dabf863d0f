import difflib
import random
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.backtranslate.measures import (
    character_f1,
    copy_rate,
    distinct_share,
    longest_common,
    repeated_unit,
    support,
)

SMALL = st.text("ab河水，", max_size=14)
ANY = st.text(max_size=40)


@given(SMALL, SMALL)
def test_longest_common_equals_difflib(left: str, right: str) -> None:
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    assert longest_common(left, right) == matcher.find_longest_match().size


@given(ANY, ANY)
def test_longest_common_is_symmetric_and_bounded(left: str, right: str) -> None:
    common = longest_common(left, right)
    assert common == longest_common(right, left)
    assert 0 <= common <= min(len(left), len(right))
    assert longest_common(left, left + right) == len(left)


def test_characters_beyond_the_basic_plane_count_once() -> None:
    assert longest_common("𠮷野家", "在𠮷野家里") == 3
    assert copy_rate("𠮷", "𠮷") == 1.0


def test_copy_rate_is_of_the_text() -> None:
    assert copy_rate("前言。河水流过山谷。后记。", "河水流过山谷。") == 1.0, "nothing was polished"
    assert copy_rate("河水", "河水流过") == 0.5
    assert copy_rate("", "河水") == copy_rate("河水", "") == 0.0


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("河水流过", "河水流过山谷", 1.0),
        ("河水，流过！", "河水流过", 1.0),  # punctuation claims nothing
        ("河水流走", "河水流过", 2 / 3),
        ("春风", "河水流过", 0.0),
        ("长江全长6300公里", "长江全长6300公里，", 1.0),
        ("长江全长6400公里", "长江全长6300公里，", 0.0),  # the one number is wrong
        ("有3座桥和5条河", "有3座桥和7条河", 0.5),  # the lower of the two shares
        ("1. 河水\n2. 流过", "河水流过", 2 / 5),  # its own numbering is no number that the text must have
        ("", "河水", 0.0),
        ("河", "河水", 0.0),
    ],
)
def test_support(answer: str, text: str, expected: float) -> None:
    assert support(answer, text) == pytest.approx(expected)


@given(ANY, ANY)
def test_shares_lie_between_0_and_1(left: str, right: str) -> None:
    for share in (support(left, right), copy_rate(left, right), character_f1(left, right), distinct_share(left)):
        assert 0.0 <= share <= 1.0
    assert character_f1(left, right) == character_f1(right, left)


@given(st.text("河水流过山谷5", min_size=2, max_size=30))
def test_a_text_supports_itself(text: str) -> None:
    assert support(text, text) == 1.0
    assert character_f1(text, text) == 1.0


def test_acceptance_6_repetition() -> None:
    prefix = "这是一段正常的开头，说的是河水怎样流过山谷。"
    assert repeated_unit(prefix + "abc" * 6, 5) in ("abc", "bca", "cab")
    assert repeated_unit(prefix + "abc" * 5, 5) == ""
    assert repeated_unit("abc" * 6 + prefix, 5) == "abc", "at the start, as in the reference"
    text = "".join(random.Random(0).choices("河水流过山谷湖面很宽春风夏雨秋霜冬雪日月星辰", k=100_000))
    start = time.process_time()
    assert repeated_unit(text, 5) == ""
    assert repeated_unit(text + "abc" * 6, 5) in ("abc", "bca", "cab")
    assert time.process_time() - start < 2, "two texts of 100,000 characters, a second each"


@pytest.mark.parametrize("filler", ["-" * 100_000, "|---|---|\n" * 10_000, "a......" * 14_000, "─ " * 50_000])
def test_repetition_is_fast_on_layout_too(filler: str) -> None:
    start = time.process_time()
    repeated_unit(filler, 5)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("好" * 6, "好"),
        ("好" * 5, ""),
        ("哈哈哈哈哈哈", "哈"),
        ("......" * 9, ""),  # filler
        ("——" * 20, ""),
        ("| --- | --- | --- | --- | --- | --- | --- |", ""),
        ("1, 2, 3, 4, 5, 6, 7", ""),
        ("河水流过。" * 6, "河水流过。"),
        ("好 " * 6, "好 "),
        ("", ""),
        ("光速约为300000000米每秒。", ""),  # a number, not a stutter
        ("12" * 6, "12"),
        ("x" * 64 + "y", "x"),
    ],
)
def test_what_counts_as_repetition(text: str, unit: str) -> None:
    assert repeated_unit(text, 5) == unit


def test_units_of_up_to_64_characters() -> None:
    unit = "".join(chr(0x4E00 + number) for number in range(64))
    assert repeated_unit(unit * 6, 5) == unit
    assert repeated_unit((unit + "河") * 6, 5) == ""


def definition(text: str, max_repeats: int) -> bool:
    """Some unit with a letter or digit in it, but no single digit, stands more than `max_repeats` times in a row."""
    for size in range(1, 65):
        for start in range(len(text) - size * (max_repeats + 1) + 1):
            unit = text[start : start + size]
            counts = any(c.isalnum() for c in unit) and not (size == 1 and unit.isdigit())
            if counts and text.startswith(unit * (max_repeats + 1), start):
                return True
    return False


@given(st.text("a河。0", max_size=30), st.integers(1, 5))
def test_repetition_equals_its_definition(text: str, max_repeats: int) -> None:
    unit = repeated_unit(text, max_repeats)
    assert bool(unit) == definition(text, max_repeats)
    assert unit * (max_repeats + 1) in text


@pytest.mark.parametrize(
    ("text", "share"), [("", 1.0), ("河水流", 1.0), ("河水流过", 1.0), ("aaaaa", 0.5), ("abcdabcd", 0.8)]
)
def test_distinct_share(text: str, share: float) -> None:
    assert distinct_share(text) == share


@given(SMALL, SMALL)
def test_character_f1_equals_its_definition(left: str, right: str) -> None:
    a, b = ([c for c in text if c.isalnum()] for text in (left, right))
    shared = sum((Counter(a) & Counter(b)).values())
    if not shared:
        assert character_f1(left, right) == 0.0
        return
    precision, recall = shared / len(a), shared / len(b)
    assert character_f1(left, right) == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("3.5万年前", "距今3.5万年前", 1.0),  # a decimal at the start of a line is no list number
        ("1. 河水流\n2. 湖面宽", "1河水流2湖面宽，没有别的数", 1.0),
        ("4.5万年前", "距今3.5万年前", 0.0),
    ],
)
def test_numbers_at_line_starts(answer: str, text: str, expected: float) -> None:
    assert support(answer, text) == pytest.approx(expected, abs=0.3 if expected else 0.0)
