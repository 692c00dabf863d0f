import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.items import Record
from kun.corpus.split import in_pieces, split_text

from .conftest import SENTENCE


def test_a_long_text_is_cut_at_paragraph_ends() -> None:
    long = Record("made.txt:2", "\n\n".join([SENTENCE] * 3), "题")
    assert list(in_pieces(long, 2 * len(SENTENCE) + 2)) == [
        Record("made.txt:2#1", f"{SENTENCE}\n\n{SENTENCE}", "题"),
        Record("made.txt:2#2", SENTENCE, "题"),
    ]


@pytest.mark.parametrize("size", [0, 1000])
def test_nothing_is_cut_without_need(size: int) -> None:
    whole = Record("made.txt:1", SENTENCE, "")
    assert list(in_pieces(whole, size)) == [whole]


def test_markup_and_code_are_not_cut_in_half() -> None:
    hidden = "<!-- " + "藏起来的广告。" * 30 + " -->"
    pieces = [piece.text for piece in in_pieces(Record("a:1", hidden + "\n\n".join([SENTENCE] * 3), ""), 70)]
    assert pieces == [SENTENCE] * 3
    code = "```\nfor line in lines:\n\n    print(line)\n```"
    assert split_text(f"{SENTENCE}\n\n{code}\n\n{SENTENCE}", 70) == [SENTENCE, code, SENTENCE]


def test_a_sentence_stays_whole() -> None:
    assert split_text("河水。" * 4, 7) == ["河水。河水。"] * 2
    assert split_text("她说：“河水流走了。”然后离开。", 10) == ["她说：“河水流走了。”", "然后离开。"]
    assert split_text("河水从山谷里流出来，汇入湖面。", 10) == ["河水从山谷里流出来，汇入湖面。"]
    assert split_text("The river runs. The lake is quiet. It rains.", 20) == [
        "The river runs.",
        "The lake is quiet.",
        "It rains.",
    ]


@given(st.text("河水，。！\n “”ab.A"), st.integers(1, 20))
def test_no_character_but_space_between_pieces_is_lost(text: str, size: int) -> None:
    assert "".join("".join(split_text(text, size)).split()) == "".join(text.split())
