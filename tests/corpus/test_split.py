import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.split import split_text, split_texts

from .conftest import SENTENCE


def frame(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"{place:032x}" for place in range(len(texts))],
            "text": texts,
            "source": "made",
            "origin": [f"made.txt:{place + 1}" for place in range(len(texts))],
            "title": "题",
            "lang": "zh",
            "n_chars": [len(text) for text in texts],
        }
    )


def test_a_long_text_is_cut_at_paragraph_ends() -> None:
    long = "\n\n".join([SENTENCE] * 3)
    parted = split_texts(frame([SENTENCE, long]), 2 * len(SENTENCE) + 2)
    assert parted["text"].to_list() == [SENTENCE, f"{SENTENCE}\n\n{SENTENCE}", SENTENCE]
    assert parted["origin"].to_list() == ["made.txt:1", "made.txt:2#1", "made.txt:2#2"]
    assert parted["title"].unique().to_list() == ["题"]
    assert parted["n_chars"].to_list() == [len(text) for text in parted["text"]]
    assert parted["id"][0] == f"{0:032x}"


def test_a_paragraph_that_stands_twice_has_two_ids() -> None:
    assert split_texts(frame(["\n\n".join([SENTENCE] * 3)]), len(SENTENCE))["id"].n_unique() == 3


@pytest.mark.parametrize("size", [0, 1000])
def test_nothing_is_cut_without_need(size: int) -> None:
    whole = frame([SENTENCE])
    assert split_texts(whole, size).equals(whole)


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
