from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.dynosaur.filters import PROPOSED, valid_tasks
from tests.dynosaur.made_datasets import params

KNOWN = ["名称", "样子", "类别"]
ASKED = "根据样子说出名称。"


def proposed(*tasks: dict[str, Any]) -> pl.DataFrame:
    """Valid tasks but for what is given."""
    usual = {"reply": "r", "source": "fruit", "variant": "unaware", "instruction": ASKED, "known": KNOWN}
    usual |= {"input_fields": ["样子"], "output_fields": ["名称"]}
    return pl.DataFrame([usual | {"id": str(number)} | task for number, task in enumerate(tasks)], schema=PROPOSED)


def reasons(*tasks: dict[str, Any]) -> list[str]:
    dropped = valid_tasks(proposed(*tasks), params()).dropped
    return dropped["reason"].to_list()


def test_a_valid_task_passes() -> None:
    assert reasons({}) == []


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({"output_fields": []}, "empty_output"),
        ({"input_fields": ["颜色"]}, "unknown_field"),
        ({"output_fields": ["颜色"]}, "unknown_field"),
        ({"input_fields": ["名称", "样子"]}, "input_is_output"),
        ({"output_fields": ["名称", "类别"]}, "several_outputs"),
        ({"input_fields": []}, "empty_input"),
        ({"instruction": "说名"}, "instruction_too_short"),
        ({"instruction": "Name it"}, "instruction_too_short"),
        ({"instruction": "字" * 201}, "instruction_too_long"),
        ({"instruction": "Describe the picture in a word."}, "other_modality"),
        ({"instruction": "看图片说出它的名称。"}, "other_modality"),
    ],
)
def test_each_filter_drops_what_it_is_for(task: dict[str, Any], reason: str) -> None:
    assert reasons(task) == [reason]


@pytest.mark.parametrize(
    "task",
    [
        {"instruction": "说出它的名称"},  # six ideographs are three words
        {"instruction": "Name the fruit"},
        {"instruction": "字" * 200},
        {"instruction": "Tell what the pictorial style is."},
        {"known": None, "input_fields": ["anything"]},
        {"input_fields": ["样子", "类别"]},
    ],
)
def test_and_nothing_beside_it(task: dict[str, Any]) -> None:
    assert reasons(task) == []


def test_an_instruction_stands_once_in_a_reply_and_a_task_once_in_a_dataset() -> None:
    again = {"id": "b", "input_fields": ["类别"]}
    assert reasons({"id": "a"}, again) == ["same_instruction"]
    assert reasons({"id": "a"}, again | {"reply": "other"}) == [], "another task of another reply"
    assert reasons({"id": "a"}, {"id": "a", "reply": "other"}) == ["same_task"]


def test_an_invalid_task_displaces_none() -> None:
    split = valid_tasks(proposed({"id": "a", "output_fields": []}, {"id": "b"}), params())
    assert split.dropped["reason"].to_list() == ["empty_output"]
    assert split.kept["id"].to_list() == ["b"]


def test_filters_stand_in_the_order_of_the_reference() -> None:
    everything = {"input_fields": ["颜色"], "output_fields": ["颜色"], "instruction": "图片"}
    assert reasons(everything | {"output_fields": []}) == ["empty_output"]
    assert reasons(everything) == ["unknown_field"]
    assert reasons(everything | {"known": ["颜色"]}) == ["input_is_output"]


NAMES = st.lists(st.sampled_from([*KNOWN, "颜色"]), max_size=3, unique=True)


@given(st.lists(st.tuples(NAMES, NAMES, st.sampled_from([ASKED, "短", "猜一猜它是什么。"])), max_size=8))
def test_kept_and_dropped_make_up_what_was_proposed(tasks: Sequence[tuple[list[str], list[str], str]]) -> None:
    rows = [{"input_fields": given, "output_fields": out, "instruction": text} for given, out, text in tasks]
    split = valid_tasks(proposed(*rows), params())
    assert sorted([*split.kept["id"], *split.dropped["id"]]) == sorted(map(str, range(len(tasks))))
    for row in split.kept.iter_rows(named=True):
        assert {*row["input_fields"], *row["output_fields"]} <= set(KNOWN)
        assert not {*row["input_fields"]} & {*row["output_fields"]}
