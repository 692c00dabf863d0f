import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.repair import repair
from kun.corpus.text import normalise
from kun.corpus.tidy import join_wrapped, strip_markup

from .conftest import SENTENCE

PARTS = st.sampled_from(
    [
        "河水从山谷里流出来绕过村口的老槐树慢慢汇入",
        "，",
        "。",
        "\n",
        "\n\n",
        "    ",
        "- ",
        "12. ",
        "<p>",
        "</p>",
        "&lt;",
        "[b]水[/b]",
        "word ",
        "AT&T",
    ]
)


def one_by_one(text: str) -> str:
    """The repairs without looking first who needs them."""
    return join_wrapped(normalise(strip_markup(text)))


@settings(max_examples=200)
@given(st.lists(st.lists(PARTS, max_size=30).map("".join).map(normalise), max_size=4))
def test_who_needs_no_repair_is_found_without_loss(texts: list[str]) -> None:
    assert repair(pl.Series(texts, dtype=pl.String)).texts.to_list() == [one_by_one(text) for text in texts]


@settings(max_examples=100)
@given(st.lists(st.text(), max_size=3))
def test_any_text_is_repaired_without_error(texts: list[str]) -> None:
    series = pl.Series([normalise(text) for text in texts], dtype=pl.String)
    before = series.to_list()
    assert len(repair(series).texts) == len(texts)
    assert series.to_list() == before  # the argument stays as it was


def test_repairs_are_counted() -> None:
    wrapped = (SENTENCE[:31] + "\n" + SENTENCE[31:]).replace("；", "，")
    done = repair(pl.Series([SENTENCE, f"<p>{SENTENCE}</p>", wrapped, "cafÃ© and naÃ¯ve"]))
    assert done.counts == {"mojibake": 1, "markup": 1, "joined": 1, "simplified": 0}
    assert done.texts.to_list() == [SENTENCE, SENTENCE, wrapped.replace("\n", ""), "café and naïve"]


@pytest.mark.parametrize("texts", [[], [""]])
def test_nothing_to_repair(texts: list[str]) -> None:
    assert repair(pl.Series(texts, dtype=pl.String)).texts.to_list() == texts
