from typing import Any, get_args

import pytest

from kun.corpus.layouts import MISSING, PRESETS, Layout, at, layout_of, text_in
from kun.params import Preset

USUAL = Layout(["text", "content"], ["title"])
MNBVC = {"文件名": "a.txt", "段落": [{"行号": 1, "内容": "第一段。"}, {"行号": 2, "内容": "第二段。"}]}


def test_every_preset_can_be_named_in_params() -> None:
    assert set(PRESETS) == set(get_args(Preset))


@pytest.mark.parametrize(
    ("preset", "record", "text"),
    [
        ("wudao", {"title": "题", "content": "正文", "dataType": "百科"}, "正文"),
        ("wanjuan", {"id": "1", "content": "正文"}, "正文"),
        ("skypile", {"text": "正文"}, "正文"),
        ("mnbvc", MNBVC, "第一段。\n第二段。"),
        ("mnbvc_qa", {"id": "1", "问": "为什么？", "答": "因为。"}, "为什么？\n\n因为。"),
    ],
)
def test_published_layouts(preset: Preset, record: dict[str, Any], text: str) -> None:
    assert text_in(record, layout_of("web/a", {"web": preset}, USUAL))[1] == text


def test_a_source_goes_before_its_folder_and_the_default_behind_both() -> None:
    layouts: dict[str, Preset | list[str]] = {"qa": ["q"], "qa/old": ["question", "answer"]}
    assert layout_of("qa/old", layouts, USUAL).text == ["question", "answer"]
    assert layout_of("qa/new", layouts, USUAL).text == ["q"]
    assert layout_of("other", layouts, USUAL) is USUAL


def test_the_first_field_counts_or_all_together() -> None:
    record = {"content": "二", "text": "一", "answer": "三"}
    assert text_in(record, USUAL) == ("text", "一")
    assert text_in(record, Layout(["answer", "none", "text"], [], joined=True)) == ("answer+text", "三\n\n一")
    assert text_in({"text": 5, "content": "二"}, Layout(["content", "text"], [], joined=True)) == ("text", 5)
    assert text_in({"a": 1}, USUAL)[1] is MISSING


@pytest.mark.parametrize(
    ("record", "name", "value"),
    [
        ({"问": "为什么？"}, "答", MISSING),
        ({"问": "为什么？", "答": " \n"}, "答", " \n"),
        ({"问": "", "答": "因为。"}, "问", ""),
        ({"问": "为什么？", "答": None}, "答", None),
        ({"id": "1"}, "", MISSING),
    ],
    ids=["no answer", "blank", "no question", "null", "neither"],
)
def test_a_question_without_its_answer_is_no_text(record: dict[str, Any], name: str, value: object) -> None:
    assert text_in(record, layout_of("qa", {"qa": "mnbvc_qa"}, USUAL)) == (name, value)


def test_fields_that_a_user_names_need_not_all_be_there() -> None:
    assert text_in({"问": "为什么？"}, layout_of("qa", {"qa": ["问", "答"]}, USUAL)) == ("问", "为什么？")


def test_paths() -> None:
    assert at({"a": {"b": "c"}}, "a.b") == "c"
    assert at({"a.b": "whole name first", "a": {"b": "c"}}, "a.b") == "whole name first"
    assert at({"a": [{"b": "c"}, {"x": 1}, {"b": "d"}, 5]}, "a.b") == "c\nd"
    for record in ({}, {"a": 5}, {"a": []}, {"a": None}):
        assert at(record, "a.b") is MISSING
