"""Rules for English texts: the quality filters of Gopher (Rae et al. 2021, table A1) and C4 (Raffel et al. 2020, 2.2)."""

import polars as pl

from kun.params import English
from kun.tables.rules import Rule, at_least, at_most

STOP_WORDS = "(?i)^(?:the|be|to|of|and|that|have|with)$"
"""Of Gopher."""
_BULLET = r"^[-*•·◆●■]"
_CLOSED = r"[.!?…:;\"'”’)\]}`|]$"
_SYMBOL = r"#|…|\.\.\."
_C4 = (
    r"(?i)lorem ipsum|enable javascript|javascript (?:is|must be|needs to be) (?:required|enabled|disabled|turned)|[{}]"
)


def english_features(texts: pl.DataFrame) -> pl.DataFrame:
    """Add the columns that `english_rules` look at; null for texts in other languages, which no such rule judges."""
    prose = pl.when(pl.col("lang") == "en").then("prose")
    words = prose.str.extract_all(r"\S+")
    lines = prose.str.split("\n").list.eval(pl.element().str.strip_chars().filter(pl.element().str.contains(r"\S")))
    n_words = pl.max_horizontal(words.list.len(), 1)
    n_lines = pl.max_horizontal(lines.list.len(), 1)

    def lines_with(pattern: str) -> pl.Expr:
        return lines.list.eval(pl.element().str.contains(pattern).cast(pl.Int64)).list.sum() / n_lines

    return texts.with_columns(
        en_words=words.list.len(),
        en_word_length=words.list.eval(pl.element().str.len_chars()).list.mean().fill_null(0),
        en_symbol_ratio=prose.str.count_matches(_SYMBOL) / n_words,
        en_alphabetic_share=words.list.eval(pl.element().str.contains("[A-Za-z]").cast(pl.Int64)).list.sum() / n_words,
        en_stop_words=words.list.eval(pl.element().str.contains(STOP_WORDS).cast(pl.Int64)).list.sum(),
        en_bullet_share=lines_with(_BULLET),
        en_ellipsis_share=lines_with(r"(?:…|\.\.\.)$"),
        en_closed_share=lines_with(rf"{_CLOSED}|{_BULLET}|^\d{{1,2}}[.)]"),
        en_boilerplate=prose.str.extract(f"({_C4})"),
    )


def english_rules(params: English) -> dict[str, Rule]:
    """Gopher's, with fewer words asked for: an answer may be short; then C4's, by share of lines instead of line by line."""

    def between(column: str, low: float, high: float) -> Rule:
        return Rule(pl.col(column).is_between(low, high), pl.col(column).round(2), f"{low} to {high}")

    return {
        "words": between("en_words", params.min_words, params.max_words),
        "word_length": between("en_word_length", params.min_word_length, params.max_word_length),
        "symbol_words": at_most("en_symbol_ratio", params.max_symbol_ratio),
        "alphabetic": at_least("en_alphabetic_share", params.min_alphabetic_share),
        "stop_words": at_least("en_stop_words", params.min_stop_words),
        "bullets": at_most("en_bullet_share", params.max_bullet_share),
        "ellipses": at_most("en_ellipsis_share", params.max_ellipsis_share),
        "open_ends": at_least("en_closed_share", params.min_closed_share),
        "boilerplate": Rule(pl.col("en_boilerplate").is_null(), pl.col("en_boilerplate"), "none"),
    }
