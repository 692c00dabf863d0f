import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.characters import CLASSES, character_counts


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(max_codepoint=0x33FFF, exclude_categories=["Cs"])), max_size=5))
def test_counts_are_those_of_the_patterns(texts: list[str]) -> None:
    """Each character counts once, for the first class that has it."""
    counts = character_counts(texts)
    rest = pl.Series(texts, dtype=pl.String)
    for name, pattern in CLASSES.items():
        assert counts[name].to_list() == rest.str.count_matches(pattern).to_list()
        rest = rest.str.replace_all(pattern, "")
    assert counts["other"].to_list() == rest.str.len_chars().to_list()
    assert counts["words"].to_list() == pl.Series(texts, dtype=pl.String).str.count_matches("[A-Za-z]+").to_list()


def test_words_do_not_reach_into_the_next_text() -> None:
    assert character_counts(["abc", "def 河", ""])["words"].to_list() == [1, 1, 0]
