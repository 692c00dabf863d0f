"""The rules of `clean`: those for every text, then those of its language. docs/rules.md says where the numbers come from."""

import polars as pl

from kun.corpus import spam
from kun.corpus.rules_en import english_rules
from kun.params import Clean
from kun.tables.rules import Rule, at_least, at_most


def rules(params: Clean) -> dict[str, Rule]:
    """Every rule on the columns of `features`, the most telling first: an advertisement before its odd lines."""
    return {
        "too_short": Rule(pl.col("n_chars") >= params.min_chars, pl.col("n_chars"), f">= {params.min_chars}"),
        "mojibake": at_most("mojibake_share", params.max_mojibake_share),
        "code": at_most("code_share", params.max_code_share),
        "table": at_most("table_share", params.max_table_share),
        "language": Rule(pl.col("lang").is_in(params.languages), pl.col("lang"), " or ".join(params.languages)),
        "unsafe": Rule(pl.col("unsafe").list.len() == 0, pl.col("unsafe").list.join(" "), "none"),
        **_of("zh", chinese_words(params)),
        "links": at_most("link_share", params.max_link_share),
        "private_data": Rule(
            pl.col("unwanted").list.len() == 0,
            pl.col("unwanted").list.join(" "),
            "none, with clean.private: drop",
        ),
        **_of("zh", chinese_shape(params)),
        **(_of("en", english_rules(params.english)) if "en" in params.languages else {}),
        "truncated": _ending(params),
        "duplicate_lines": at_most("dup_line_share", params.max_dup_line_share),
        "repeated_grams": at_most("top_gram_share", params.max_top_gram_share),
    }


def chinese_words(params: Clean) -> dict[str, Rule]:
    """Rules that look for Chinese words."""
    return {
        "not_chinese": at_least("cjk_share", params.min_cjk_share),
        "spam": Rule(
            _is_no_spam(params.max_keyword_share), _spam_value(), f"few of these, <= {params.max_keyword_share}"
        ),
        "advertising": Rule(
            (pl.col("advert_sure").list.len() == 0) & (pl.col("advert_words").list.len() < 2),
            pl.concat_list("advert_sure", "advert_words").list.join(" "),
            "no contact for buyers, at most 1 word",
        ),
        "navigation": Rule(pl.col("navigation").list.len() < 3, pl.col("navigation").list.join(" "), "at most 2 words"),
        "copyright_tail": Rule(
            pl.col("copyright").is_null(), pl.col("copyright"), f"not in the last {spam.COPYRIGHT_TAIL}"
        ),
    }


def chinese_shape(params: Clean) -> dict[str, Rule]:
    """Rules on the proportions of Chinese prose."""
    return {
        "symbols": at_most("symbol_share", params.max_symbol_share),
        "digits": at_most("digit_share", params.max_digit_share),
        "list": at_most("entry_share", params.max_entry_share),
        "open_lines": at_most("open_line_share", params.max_open_line_share),
    }


def length_rule(params: Clean) -> dict[str, Rule]:
    """Apart, because counting tokens is the most costly of all."""
    return {"too_long": Rule(pl.col("n_tokens") <= params.max_tokens, pl.col("n_tokens"), f"<= {params.max_tokens}")}


def _of(lang: str, rules: dict[str, Rule]) -> dict[str, Rule]:
    """The rules, kept by every text in another language."""
    return {
        name: Rule((pl.col("lang") != lang) | rule.keep, rule.value, rule.threshold) for name, rule in rules.items()
    }


def _is_no_spam(max_keyword_share: float) -> pl.Expr:
    words = pl.col("spam_words")
    share = words.list.join("").str.len_chars() / pl.max_horizontal("n_chars", 1)
    stuffed = (words.list.n_unique() >= spam.SPAM_KINDS) & (share >= spam.SPAM_SHARE) & ~pl.col("reports")
    return ~stuffed & (pl.col("keyword_share") <= max_keyword_share)


def _spam_value() -> pl.Expr:
    words = pl.col("spam_words").list.unique(maintain_order=True).list.join(" ")
    return pl.concat_str(words, pl.col("keyword_share").round(4).cast(pl.String), separator=" ").str.strip_chars()


def _ending(params: Clean) -> Rule:
    """By `clean.truncated`: words that say so (`marks`), every end that is none (`open`), or nothing (`keep`)."""
    goes_on = pl.col("goes_on").is_not_null()
    cut = {"keep": pl.lit(False), "marks": goes_on, "open": goes_on | ~pl.col("ended")}[params.truncated]
    return Rule(~cut, pl.col("goes_on").fill_null(pl.col("text").str.tail(10)), f"clean.truncated: {params.truncated}")
