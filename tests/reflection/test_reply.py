import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.engine.records import Refusal, parse_record
from kun.engine.schema import check_schema
from kun.prompts import render
from kun.reflection.reply import MARKER, Better, parse_reply, reply_schema

WELL = "主题太简单。\n[新指令] 比较蒸发和沸腾的三点不同。 [结束]\n[新回答] 蒸发在任何温度下都会发生。 [结束]"


def block(instruction: str, answer: str) -> str:
    return f"[New Instruction] {instruction} [End]\n[New Answer] {answer} [End]\n"


REPLIES = {
    "well formed": (WELL, ("比较蒸发和沸腾的三点不同。", "蒸发在任何温度下都会发生。")),
    "english": ("Too easy.\n" + block("Explain why.", "Because."), ("Explain why.", "Because.")),
    "no end behind the instruction": ("[New Instruction] a? [New Answer] b. [End]", ("a?", "b.")),
    "no end at all": ("[New Instruction] a? [New Answer] b.", ("a?", "b.")),
    "number of the next task": ("2. [New Instruction] a?\n\n3. [New Answer] b. [End]", ("a?", "b.")),
    "headings instead of brackets": ("2. New Instruction: a?\n3. New Answer: b.", ("a?", "b.")),
    "chinese headings": ("新指令：甲？\n新回答：乙。", ("甲？", "乙。")),
    "two blocks": (block("a?", "b.") + "Better still:\n" + block("c?", "d."), ("c?", "d.")),
    "the second block has no answer": (block("a?", "b.") + "[New Instruction] c?", ("a?", "b.")),
    "the word End": (
        block("Which Endpoint?", "In the End, call the Endpoint."),
        ("Which Endpoint?", "In the End, call the Endpoint."),
    ),
    "an index that is called end": (block("Slice a list.", "use rows[end]"), ("Slice a list.", "use rows[end]")),
    "the critique names a marker": ("I put it behind [New Instruction].\n" + block("a?", "b."), ("a?", "b.")),
    "the critique quotes the task": (block("your instruction", "your answer") + block("a?", "b."), ("a?", "b.")),
    "fenced": ("```\n" + block("a?", "b.") + "```", ("a?", "b.")),
    "code in the answer": (
        block("Print it.", "```python\nprint(1)\n```"),
        ("Print it.", "```python\nprint(1)\n```"),
    ),
    "N/A inside an answer": (
        block("What is N/A?", "N/A says not applicable."),
        ("What is N/A?", "N/A says not applicable."),
    ),
    "record": ('{"critique": "弱", "instruction": "甲？", "answer": "乙。"}', ("甲？", "乙。")),
    "fenced record": ('```json\n{"critique": "", "instruction": "a?", "answer": "b."}\n```', ("a?", "b.")),
}

REFUSED = {
    "empty": ("", "empty"),
    "blank": (" \n", "empty"),
    "prose": ("这条指令已经很好了。", "missing_instruction"),
    "no instruction": ("[New Answer] b. [End]", "missing_instruction"),
    "empty instruction": (block("", "b."), "missing_instruction"),
    "no answer": ("[New Instruction] a? [End]", "missing_answer"),
    "empty answer": (block("a?", ""), "missing_answer"),
    "placeholder instruction": (block("your instruction", "b."), "placeholder"),
    "placeholder answer": (block("a?", "<your answer>"), "placeholder"),
    "placeholder copied from the prompt": ("[新指令] 指令全文 [结束][新回答] 回答全文 [结束]", "placeholder"),
    "not applicable": (block("a?", "N/A"), "placeholder"),
    "no json": ('{"critique": "x", "instruction": ', "not_json"),
    "record without answer": ('{"critique": "x", "instruction": "a?"}', "schema"),
    "record with an empty answer": ('{"critique": "x", "instruction": "a?", "answer": " "}', "missing_answer"),
    "record with a marker": ('{"critique": "", "instruction": "a?", "answer": "b [End]"}', "marker_inside"),
}


@pytest.mark.parametrize("name", REPLIES)
def test_acceptance_3_a_new_instruction_and_its_answer(name: str) -> None:
    text, wanted = REPLIES[name]
    better = parse_reply(text, "stop", with_instruction=True)
    assert isinstance(better, Better)
    assert (better.instruction, better.answer) == wanted


@pytest.mark.parametrize("name", REFUSED)
def test_acceptance_3_refusals_have_reasons(name: str) -> None:
    text, reason = REFUSED[name]
    refusal = parse_reply(text, "stop", with_instruction=True)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


@pytest.mark.parametrize("text", [WELL, REPLIES["record"][0]])
def test_acceptance_3_a_cut_reply_is_refused_even_if_it_parses(text: str) -> None:
    refusal = parse_reply(text, "length", with_instruction=True)
    assert refusal == Refusal("truncated", text[-40:])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("不够详细。\n[更好的回答] 沸腾只在沸点发生。 [结束]", "沸腾只在沸点发生。"),
        ("[Better Answer] b.", "b."),
        ("Better Answer: b.", "b."),
        ('{"critique": "x", "answer": "b."}', "b."),
        (block("a?", "b."), "b."),  # an oracle that answers the other task: its answer stands all the same
    ],
)
def test_a_better_answer_alone(text: str, answer: str) -> None:
    better = parse_reply(text, "stop", with_instruction=False)
    assert isinstance(better, Better)
    assert (better.instruction, better.answer) == ("", answer)


def test_the_critique_is_what_stands_before_the_first_marker() -> None:
    better = parse_reply(WELL, "stop", with_instruction=True)
    assert isinstance(better, Better) and better.critique == "主题太简单。"


PART = st.text(min_size=1, max_size=30).map(str.strip).filter(lambda text: len(text) > 3 and not MARKER.search(text))


@given(st.lists(st.tuples(PART, PART), min_size=1, max_size=3))
def test_instruction_and_answer_always_come_from_one_block(versions: list[tuple[str, str]]) -> None:
    read = parse_reply("".join(block(*version) for version in versions), "stop", with_instruction=True)
    if isinstance(read, Better):
        assert any(a == read.answer and i.startswith(read.instruction) for i, a in versions)


@given(PART, PART, PART)
def test_a_record_gives_back_what_it_was_made_of(critique: str, instruction: str, answer: str) -> None:
    record = json.dumps({"critique": critique, "instruction": instruction, "answer": answer}, ensure_ascii=False)
    read = parse_reply(record, "stop", with_instruction=True)
    assert read == Better(critique, instruction, answer) or (isinstance(read, Refusal) and read.reason == "placeholder")


@given(st.text('[]新指令回答结束NewInstructionAnswerEnd: \n{}"`。', max_size=120), st.booleans())
def test_whatever_comes_is_read_or_refused(text: str, with_instruction: bool) -> None:
    read = parse_reply(text, "stop", with_instruction)
    if isinstance(read, Refusal):
        assert read.reason
    else:
        assert read.answer and bool(read.instruction) == with_instruction
        assert not MARKER.search(read.instruction + read.answer)


@pytest.mark.parametrize("with_instruction", [True, False])
def test_a_grammar_can_hold_replies_to_the_schema(with_instruction: bool) -> None:
    schema = reply_schema(with_instruction, (5, 500), 20)
    check_schema(schema)
    short = {"critique": "x" * 20, **({"instruction": "1234"} if with_instruction else {}), "answer": "x" * 19}
    refusal = parse_record(json.dumps(short), schema)
    assert isinstance(refusal, Refusal) and refusal.reason == "schema", "no text is over before it says something"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_markers_that_a_prompt_asks_for_are_those_that_are_read(lang: str) -> None:
    asked = render("reflect_instruction", lang, form="markers", instruction="a", output="b")
    kinds = {found.lastgroup for found in MARKER.finditer(asked)}
    assert kinds == {"instruction", "answer", "end"}
    asked = render("reflect_answer", lang, form="markers", instruction="a", input="", output="b")
    assert {found.lastgroup for found in MARKER.finditer(asked)} == {"answer", "end"}
    for name, fields in (("reflect_instruction", {}), ("reflect_answer", {"input": "c"})):
        asked = render(name, lang, form="schema", instruction="a", output="b", **fields)
        assert not MARKER.search(asked) and "JSON" in asked
