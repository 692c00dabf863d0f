import re

from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.letters import bare, bare_all, comparable
from kun.corpus.runs import ASSIGNED, CODES


def test_bare_drops_what_does_not_count() -> None:
    assert bare("《河》, A_b 1.5！\n（湖）") == "河ab15湖"
    assert bare("，。！") == bare("") == ""


@given(st.text())
def test_bare_is_what_word_characters_are(text: str) -> None:
    letters = bare(text)
    assert letters == "".join(c if len(c.lower()) > 1 else c.lower() for c in re.sub(r"[\W_]", "", text))
    assert bare(letters) == letters


@given(st.lists(st.text()))
def test_many_at_once_give_what_each_gives(texts: list[str]) -> None:
    assert bare_all(texts) == [bare(text) for text in texts]


def test_blocks_do_not_run_into_each_other() -> None:
    texts = ["河" * 40_000 + "。", "湖，" * 30_000, "", "山"]
    assert bare_all(texts) == ["河" * 40_000, "湖" * 30_000, "", "山"]


def test_a_text_without_letters_stands_for_itself() -> None:
    assert comparable(["！", "河！", ""]) == ["！", "河", ""]


def test_there_are_no_letters_where_none_are_looked_for() -> None:
    assert not [code for code in range(ASSIGNED, CODES) if chr(code).isalnum()]
