import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.engine.records import Refusal, parse_record
from kun.engine.schema import check_schema
from kun.glan.names import same_name
from kun.glan.records import (
    Items,
    disciplines_schema,
    level_number,
    question_schema,
    read_disciplines,
    read_question,
    read_sessions,
    read_subjects,
    sessions_schema,
    subjects_schema,
)

SUBJECT = {"name": "几何光学", "level": "入门", "topics": ["反射", "折射"]}
SESSION = {"name": "第一课", "concepts": ["反射定律", "折射率"]}


def subjects(*items: Any, finish: str = "stop") -> Items | Refusal:
    return read_subjects(json.dumps({"subjects": items}, ensure_ascii=False), finish, 6, "zh")


def sessions(*items: Any) -> Items | Refusal:
    return read_sessions(json.dumps({"sessions": items}, ensure_ascii=False), "stop", 4, 4, "zh")


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_schema_holds_a_model_to_an_end(lang: str, plain: bool) -> None:
    for schema in (
        subjects_schema(6, lang, plain),
        sessions_schema(4, 4, lang, plain),
        question_schema(lang, plain),
        disciplines_schema(5, plain),
    ):
        check_schema(schema)


MALFORMED = {
    "prose only": ("好的，下面是科目清单。", "stop", "not_json"),
    "no text": (" ", "empty", "empty"),
    "a cut record": ('{"subjects": [{"name": "光学', "length", "cut"),
    "a broken line": ('{"subjects": [{"name": "光学",]}', "stop", "not_json"),
    "an empty list": ('{"subjects": []}', "stop", "no_items"),
    "another key": ('{"科目": []}', "stop", "schema"),
    "a list": ('[{"name": "光学"}]', "stop", "schema"),
    "no valid item": ('{"subjects": [{"name": 3}]}', "stop", "schema"),
    "a name of dots": ('{"subjects": [{"name": "……", "level": "一", "topics": ["甲"]}]}', "stop", "no_name"),
}


@pytest.mark.parametrize(("text", "finish", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_reply_is_refused_with_its_reason(text: str, finish: str, reason: str) -> None:
    found = read_subjects(text, finish, 6, "zh")
    assert isinstance(found, Refusal)
    assert found.reason == reason


@pytest.mark.parametrize("text", ["{}", "```json\n{}\n```"])
def test_a_record_counts_with_and_without_a_fence(text: str) -> None:
    found = read_subjects(text.replace("{}", json.dumps({"subjects": [SUBJECT]})), "stop", 6, "zh")
    assert found == Items([{"name": "几何光学", "level_raw": "入门", "level": None, "topics": ["反射", "折射"]}], [])


def test_a_wrong_item_does_not_spoil_the_others() -> None:
    found = subjects(SUBJECT, {"name": "波动光学"}, 7, {**SUBJECT, "name": "  "}, SUBJECT | {"name": "激光"})
    assert isinstance(found, Items)
    assert [item["name"] for item in found.valid] == ["几何光学", "激光"]
    assert [fault.reason for fault in found.refused] == ["schema", "schema", "no_name"]


def test_no_more_items_than_asked_for() -> None:
    found = subjects(*(SUBJECT | {"name": f"科目{number}"} for number in range(8)))
    assert isinstance(found, Items)
    assert len(found.valid) == 6
    assert [fault.reason for fault in found.refused] == ["beyond_limit"] * 2


@pytest.mark.parametrize("name", ["5313", "中式烹饪？},{", '"name"', "好术" * 6, "。"])
def test_a_name_has_letters_and_nothing_of_the_record(name: str) -> None:
    found = subjects({**SUBJECT, "name": name}, {**SUBJECT, "topics": ["反射", name]})
    assert isinstance(found, Items)
    assert [one.reason for one in found.refused] == ["no_name"]
    assert [one["topics"] for one in found.valid] == [["反射"]]


@pytest.mark.parametrize("name", ["C++", "TCP/IP", "几何光学（一）", "Node.js", "π 介子"])
def test_names_of_letters_and_signs_stay(name: str) -> None:
    found = subjects({**SUBJECT, "name": name})
    assert isinstance(found, Items)
    assert [one["name"] for one in found.valid] == [name]


COUNTED = {
    "1. 几何光学": "几何光学",
    "1.几何光学": "几何光学",
    "（2）几何光学": "几何光学",
    "③几何光学": "几何光学",
    "- 几何光学": "几何光学",
    "2、Optics": "Optics",
    "1. Introduction": "Introduction",
}
OWN = ["3D打印", "1984年起", "2.4 GHz 技术", "1.5.2 版", "16:9 画面", "-omics", "3.x API", "*args"]


@pytest.mark.parametrize(("written", "read"), [*COUNTED.items(), *zip(OWN, OWN, strict=True)])
def test_a_name_is_told_without_its_number_in_a_list(written: str, read: str) -> None:
    found = subjects({"name": written, "level": "1. 初级", "topics": [written, read]})
    assert isinstance(found, Items)
    assert found.valid == [{"name": read, "level_raw": "1. 初级", "level": 1, "topics": [read]}]
    both = read_disciplines(json.dumps({"disciplines": [{"zh": written, "en": written}]}), "stop", 1)
    assert isinstance(both, Items)
    assert both.valid == [{"zh": read, "en": read}]


PLAIN = {"zh": ("几何光学", "C语言", "DNA复制", "X射线"), "en": ("Optics", "C++", "École")}
NOT_PLAIN = {"zh": ("1", "1.1", "10A", "session", "3D打印", "。光"), "en": ("1", "3D printing", "(a)", "×")}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_plain_begin_with_a_letter(lang: str) -> None:
    def fits(name: str, plain: bool) -> bool:
        records = {
            subjects_schema(2, lang, plain): {"subjects": [{"name": name, "level": "1", "topics": [name]}]},
            sessions_schema(2, 2, lang, plain): {"sessions": [{"name": name, "concepts": [name]}] * 2},
        }
        return all(isinstance(parse_record(json.dumps(record), schema), dict) for schema, record in records.items())

    assert all(fits(name, True) for name in PLAIN[lang])
    assert not any(fits(name, True) for name in NOT_PLAIN[lang])
    assert all(fits(name, False) for name in (*PLAIN[lang], *NOT_PLAIN[lang]))


ASKS = {
    "zh": [
        "波长为 0.5 微米的光怎样折射？",
        "光的波长为 0.5 微米。它怎样折射？",
        "光从空气进入水。水很深。请说明它怎样折射。",
    ],
    "en": ["How is light of 0.5 micrometres refracted?", "Explain how light is refracted."],
}
ASKS_NOTHING = {
    "zh": ["光的波长为 0.5 微米。", "它怎样折射？光会折射。", "一。二。三。它怎样折射？", "光怎样折射"],
    "en": ["Light has a length of 0.5 micrometres! How is it refracted?", "How is light refracted"],
}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_plain_question_asks(lang: str) -> None:
    """In Chinese behind two sentences at most; what an English sentence asks, its first word says in too many ways."""

    def fits(text: str, plain: bool) -> bool:
        return isinstance(parse_record(json.dumps({"question": text}), question_schema(lang, plain)), dict)

    assert all(fits(text, True) for text in ASKS[lang])
    assert not any(fits(text, True) for text in ASKS_NOTHING[lang])
    assert all(fits(text, False) == (text[-1] in "？?。！.") for text in ASKS[lang] + ASKS_NOTHING[lang])


def test_sessions_and_their_concepts_count_once() -> None:
    found = sessions(
        SESSION, {"name": "第一课。", "concepts": ["色散"]}, {"name": "第二课", "concepts": ["色散", "色散 ", "…"]}
    )
    assert found == Items(
        [{"name": "第一课", "concepts": ["反射定律", "折射率"]}, {"name": "第二课", "concepts": ["色散"]}],
        [Refusal("repeated", "第一课。")],
    )
    assert sessions({"name": "第一课", "concepts": ["。"]}) == Refusal("no_concepts", "第一课")


QUESTIONS = {
    "as it is": ("什么是光的折射率？", "什么是光的折射率？"),
    "a number before it": ("1. 什么是光的折射率？", "什么是光的折射率？"),
    "a label": ("问题：什么是光的折射率？", "什么是光的折射率？"),
    "an English label": ("Question 1: 天空为什么是蓝的？", "天空为什么是蓝的？"),
    "short": ("为何？", "too_short"),
    "open": ("请说明光的折射率和", "no_end"),
    "a refusal": ("抱歉，作为人工智能助手，我无法出这道题。", "refusal"),
    "a text that is not there": ("根据上文，说明光的折射规律。", "dangling_reference"),
    "a marker": ("### 指令：说明光的折射规律。", "template_marker"),
    "an image": ("光怎样<start_of_image>折射？", "template_marker"),
    "in circles": (f"请说明{'好好的，' * 6}的规律。", "repetition"),
    "English": ("What about 5308 and 5310?", "other_language"),
    "English terms": ("请说明 Snell 定律与 Fermat 原理的关系。", "请说明 Snell 定律与 Fermat 原理的关系。"),
    "numbers": ("615098804898804.", "other_language"),
}


@pytest.mark.parametrize(("written", "read"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_stands_alone_and_comes_to_an_end(written: str, read: str) -> None:
    found = read_question(json.dumps({"question": written}), "stop", 8, "zh")
    assert (found.reason if isinstance(found, Refusal) else found) == read


@pytest.mark.parametrize(
    ("raw", "level"), [("100", 100), ("Level 200", 200), ("300级", 300), ("入门", None), ("1-2", None)]
)
def test_a_level_is_a_number_where_it_parses(raw: str, level: int | None) -> None:
    assert level_number(raw) == level


@given(st.text(max_size=60), st.sampled_from(["stop", "length", "empty"]))
def test_no_text_breaks_a_parser(text: str, finish: str) -> None:
    for found in (read_subjects(text, finish, 6, "zh"), read_sessions(text, finish, 4, 4, "en")):
        assert isinstance(found, Refusal) and found.reason
    assert isinstance(read_question(text, finish, 8, "zh"), Refusal)


@given(
    st.lists(
        st.fixed_dictionaries({"name": st.text(max_size=50), "concepts": st.lists(st.text(max_size=50), max_size=6)})
    )
)
def test_what_is_read_is_clean_and_what_is_not_is_told(items: list[dict[str, Any]]) -> None:
    found = sessions(*items)
    if isinstance(found, Items):
        names = [same_name(item["name"]) for item in found.valid]
        assert len(set(names)) == len(names) and len(found.valid) + len(found.refused) == len(items)
        assert all(1 <= len(item["concepts"]) <= 4 for item in found.valid)


@given(st.text())
def test_the_form_of_names_is_stable(name: str) -> None:
    assert same_name(same_name(name)) == same_name(name)


@pytest.mark.parametrize(("one", "other"), [("光学", "光学。"), ("Wave  Optics", "wave optics"), ("ＡＢ", "ab")])
def test_names_that_mean_the_same(one: str, other: str) -> None:
    assert same_name(one) == same_name(other)
