import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.dynosaur.replies import parse_reply, reply_schema, task_fields
from kun.engine.records import Refusal, parse_record
from kun.engine.schema import check_schema

TASK = {"instruction": "说出它的类别。", "input_fields": ["名称"], "output_field": ["类别"]}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"task1": TASK}),
        str({"task1": TASK}),
        f"Here it is:\n```json\n{json.dumps({'task7': TASK}, indent=1)}\n```\nDone.",
        json.dumps({"task1": TASK}) + " {and more",
        json.dumps({"task1": TASK})[:-1],  # the last bracket was cut off
        json.dumps({"task1": TASK, "task2": TASK})[:-30],  # and so was the second task
    ],
)
def test_one_task_is_read(text: str) -> None:
    assert parse_reply(text) == [TASK]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("I cannot", "not_json"),
        (json.dumps({"task1": TASK})[:40], "not_json"),
        ("{'a': __import__('os').system('true')}", "not_json"),
        ("{1, 2}", "no_tasks"),
        ("{}", "no_tasks"),
        ("{" * 5000, "not_json"),
        ('{"a": "\\', "not_json"),
    ],
)
def test_other_replies_are_refused_with_a_reason(text: str, reason: str) -> None:
    read = parse_reply(text)
    assert isinstance(read, Refusal)
    assert read.reason == reason


@given(st.text("{}[]'\":,\\ task1instruo字", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    read = parse_reply(text)
    assert isinstance(read, Refusal | list)


@given(st.integers(0, 400))
def test_a_cut_reply_keeps_its_complete_tasks(length: int) -> None:
    whole = json.dumps({"task1": TASK, "task2": TASK, "task3": TASK}, ensure_ascii=False)
    read = parse_reply(whole[:length])
    complete = whole[:length].count("]}")
    assert (len(read) if isinstance(read, list) else 0) == complete


@pytest.mark.parametrize(
    "task",
    [
        "text",
        {},
        {"instruction": 3, "input_fields": [], "output_field": []},
        {"instruction": "a", "input_fields": [1], "output_field": "b"},
        {"instruction": "a", "input_fields": ["x"]},
    ],
)
def test_what_is_no_task_is_none(task: object) -> None:
    assert task_fields(task) is None


def test_fields_are_lists_without_repetition() -> None:
    read = task_fields({"instruction": " a\n b ", "input_fields": ["x", "x", ""], "output_field": "y"})
    assert read == {"instruction": "a b", "input_fields": ["x"], "output_fields": ["y"]}


def valid(schema: str, output: str, inputs: list[str]) -> bool:
    task = {"output_field": output, "input_fields": inputs, "instruction": "说出它的类别。"}
    return not isinstance(parse_record(json.dumps({"task1": task}), schema), Refusal)


def test_the_schema_of_a_dataset_allows_its_fields_and_none_twice() -> None:
    schema = reply_schema(["名称", "样子", "类别"])
    check_schema(schema)
    assert valid(schema, "类别", ["名称", "样子"])
    assert not valid(schema, "类别", ["类别"])
    assert not valid(schema, "颜色", ["名称"])
    assert not valid(schema, "类别", [])


def test_the_schema_of_any_dataset_holds_to_the_shape() -> None:
    schema = reply_schema([])
    check_schema(schema)
    assert valid(schema, "颜色", ["颜色"])
    assert not valid(schema, "颜色", [])
