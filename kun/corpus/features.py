"""What the rules look at: one column each, for many texts at once."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from kun.corpus import spam
from kun.corpus.characters import character_counts
from kun.corpus.language import with_language
from kun.corpus.lines import TABLE_ROWS, line_counts
from kun.corpus.repeats import top_gram_shares

HEAD = 20_000
"""Characters that are searched for repeated runs; a longer text breaks `too_long` anyway."""

_MOJIBAKE = (
    r"[\x{FFFD}\p{Co}锛銆鈥]"  # replacement, private use, and what ，。“ in UTF-8 look like when read as GBK
    r"|[\x{C2}-\x{F4}][\x{80}-\x{BF}\x{152}-\x{178}\x{192}\x{2C6}\x{2DC}\x{2013}-\x{2122}]"  # UTF-8 read as Latin-1
    r"|锟斤拷|烫烫烫|屯屯屯"
)
_MOJIBAKE_HAN = "[锛銆鈥锟烫屯]"
_CODE = r"(?s)```.*?```|`[^`\n]+`"
_FORMULA = r"\$\$.*?\$\$|\$[^$\n]+\$"
_ADDRESS = r"(?:https?|ftp)://[!-~]+"
_NOT_PROSE = rf"{_CODE}|{_FORMULA}|{_ADDRESS}"
_LINK = rf"(?i){_ADDRESS}|\bwww\.[a-z0-9-]+\.[a-z][!-~]*"
KEYWORD_GAPS = 0.03
"""Separators among characters from which search words are looked for: half a text of them has one in 26."""
_END = 60
"""Characters at the end in which a text says that it goes on elsewhere."""


def features(texts: pl.DataFrame, unsafe: Sequence[str] = ()) -> pl.DataFrame:
    """Add what the rules look at, and the length of the repaired text; `lang` becomes that of the prose.

    `masked` is the text without private data: where a rule quotes what may be some, it quotes from there.
    """
    text = pl.col("text")
    texts = texts.with_columns(prose=text.str.replace_all(_NOT_PROSE, ""), n_chars=text.str.len_chars().cast(pl.Int64))
    proses = texts["prose"].to_list()
    with ThreadPoolExecutor(1) as pool:  # numpy here, polars there: both leave the other a core
        repeats = pool.submit(top_gram_shares, _heads(texts, proses))
        counted = pl.concat([texts, character_counts(proses), line_counts(texts["prose"])], how="horizontal")
        looked_at = with_language(counted).with_columns(**_shares(), **_found(unsafe))
        return looked_at.with_columns(
            navigation=spam.navigation(texts["text"]),
            top_gram_share=pl.Series(repeats.result(), dtype=pl.Float64),
        )


def _heads(texts: pl.DataFrame, proses: list[str]) -> list[str]:
    """The prose of the first HEAD characters of each text."""
    heads = proses.copy()
    places = (texts["n_chars"] > HEAD).arg_true()
    short = texts["text"].gather(places).str.head(HEAD).str.replace_all(_NOT_PROSE, "")
    for place, head in zip(places, short, strict=True):
        heads[place] = head
    return heads


def _shares() -> dict[str, pl.Expr]:
    """Numbers, from the counts of characters and lines and from two patterns."""
    text = pl.col("text")
    visible = pl.sum_horizontal(
        "han", "hiragana", "hangul", "ascii", "latin", "letter", "stop", "digit", "symbol", "broken", "other"
    )
    code = _only(text, text.str.contains("`", literal=True)).str.extract_all(_CODE).list.join("\n")
    foreign = code.str.replace_all(
        r"(?m)^.*\p{Han}.*$", ""
    ).str.len_chars()  # manuals have their Chinese lists in ```, too
    garbled = _only(text, (pl.col("broken") + pl.col("latin") > 0) | text.str.contains(_MOJIBAKE_HAN))
    tables = pl.when(pl.col("table_lines") >= TABLE_ROWS).then("table_lines").otherwise(0)
    parted = pl.col("space") + pl.col("symbol") >= pl.col("n_chars") * KEYWORD_GAPS
    keywords = _only(text, parted).str.extract_all(spam.KEYWORDS).list.join("")
    links = _only(text, text.str.contains_any(["://", "www.", "WWW."])).str.extract_all(_LINK).list.join("")
    return {
        "cjk_share": _share(pl.col("han"), pl.sum_horizontal("han", "hiragana", "hangul", "latin", "letter", "words")),
        "mojibake_share": _share(garbled.str.count_matches(_MOJIBAKE).fill_null(0), pl.col("n_chars")),
        "symbol_share": _share(pl.col("symbol"), visible),
        "digit_share": _share(pl.col("digit"), visible),
        "open_line_share": 1 - _share(pl.col("closed_lines"), pl.col("lines")),
        "entry_share": _share(pl.col("entry_lines"), pl.col("lines")),
        "table_share": _share(tables, pl.col("lines")),
        "dup_line_share": _share(pl.col("again_chars"), pl.col("line_chars")),
        "code_share": _share(foreign.fill_null(0) + pl.col("code_chars"), pl.col("n_chars")),
        "keyword_share": _share(keywords.str.len_chars().fill_null(0), pl.col("n_chars")),
        "link_share": _share(links.str.len_chars().fill_null(0), pl.col("n_chars")),
    }


def _found(unsafe: Sequence[str]) -> dict[str, pl.Expr]:
    """Lists of the words that were found, and single ones, null for none."""
    text = pl.col("text")
    return {
        "advert_sure": pl.col("masked").str.extract_all(spam.ADVERT_SURE),  # the ledger quotes it
        "advert_words": text.str.extract_all(spam.ADVERT_WORDS).list.unique(maintain_order=True),
        "spam_words": spam.found(text),
        "reports": text.str.contains(spam.REPORT),
        "copyright": text.str.tail(spam.COPYRIGHT_TAIL).str.extract(f"({spam.COPYRIGHT})"),
        "goes_on": text.str.tail(_END).str.extract(f"({spam.TRUNCATED})"),
        "ended": text.str.tail(_END).str.contains(spam.ENDED),
        "unsafe": _unsafe(text, unsafe),
    }


def _share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """0 when there is nothing."""
    return part / pl.max_horizontal(whole, 1)


def _only(text: pl.Expr, needy: pl.Expr) -> pl.Expr:
    """The text where it is worth a costly look, else null."""
    return pl.when(needy).then(text)


def _edge(character: str) -> str:
    """That a word begins or ends here; signs, as in c++, need no such thing."""
    return r"(?-u:\b)" if character.isalnum() else ""


def _unsafe(text: pl.Expr, words: Sequence[str]) -> pl.Expr:
    """Words of the list in the text; one of ASCII letters only as a word of its own: "ass" is not in "class"."""
    if not words:
        return pl.lit([], dtype=pl.List(pl.String))
    some = _only(text, text.str.contains_any(list(words), ascii_case_insensitive=True))
    plain = [re.escape(word) for word in words if not word.isascii()]
    latin = [_edge(word[0]) + re.escape(word) + _edge(word[-1]) for word in words if word.isascii()]
    return some.str.extract_all("(?i)" + "|".join(plain + latin)).list.unique(maintain_order=True).fill_null([])
