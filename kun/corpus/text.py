"""What a text is made of: normal form, identity, script and shingles.

Chinese is written without white space and in more than one width, so nothing here looks for words.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping

import polars as pl

KEPT_PUNCTUATION = "！（），：；？～"
"""Full-width punctuation that NFKC would turn into ASCII; in Chinese prose it is the right form."""

HAN = r"\p{Han}"
LETTER = r"\p{L}"

_WIDTH = [*range(0x2F00, 0x2FE0), *range(0xFF01, 0xFFEF), 0x3000, 0x00A0, *range(0x2000, 0x200B), 0x202F, 0x205F]
_WORD_SYMBOLS = range(0xF020, 0xF100)  # Symbol and Wingdings as Word copies them: nearly always bullets
_LINE_END = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_TRAILING = re.compile(r"[ \t]+(?=\n|$)")
_BLANK_LINES = re.compile(r"\n{4,}")  # three blank lines or more


def _translation() -> dict[int, str | None]:
    """Character map of `normalise`: width variants, Kangxi radicals and spaces to their usual form, invisibles away.

    NFKC as a whole would also turn 10² into 102 and ① into 1, so only these ranges take part. Lone surrogates, which
    JSON escapes can smuggle in and UTF-8 cannot hold, become U+FFFD.
    """
    table: dict[int, str | None] = {code: unicodedata.normalize("NFKC", chr(code)) for code in _WIDTH}
    for code in [*range(0x10000), *range(0xE0000, 0xE0200)]:
        invisible = unicodedata.category(chr(code)) in ("Cc", "Cf") and chr(code) not in "\n\t"
        selector = 0xFE00 <= code <= 0xFE0F or code >= 0xE0100
        if invisible or selector:
            table[code] = None
        elif 0xD800 <= code <= 0xDFFF:
            table[code] = "\ufffd"
    table |= dict.fromkeys(_WORD_SYMBOLS, "•")
    return {code: to for code, to in table.items() if chr(code) not in KEPT_PUNCTUATION}


_TABLE = _translation()
_TRANSLATED = frozenset(map(chr, _TABLE))


def normalise(text: str) -> str:
    """Bring a text into the one form that ids, rules and models see. Idempotent.

    Letters, digits and spaces take their usual width, Chinese punctuation stays; zero-width and control characters go;
    bullets of Word become "•"; line ends become "\\n"; lines lose trailing spaces; three or more blank lines become one.
    """
    text = _LINE_END.sub("\n", text)
    if not _TRANSLATED.isdisjoint(text):  # most texts have nothing to translate, and looking is faster
        text = text.translate(_TABLE)
    text = _TRAILING.sub("", unicodedata.normalize("NFC", text))
    return _BLANK_LINES.sub("\n\n", text).strip()


def text_id(text: str) -> str:
    """First 128 bits of blake2b, as 32 hex digits; equal on every machine."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def unit_hash(*parts: object) -> float:
    """A number in [0, 1) fixed by `parts`: sampling by it depends on no other row and on no order."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53  # 53 bits: what a float holds exactly


def shingles(text: str, size: int) -> set[str]:
    """All runs of `size` characters; empty for a shorter text."""
    return {text[start : start + size] for start in range(len(text) - size + 1)}


def share_of(text: pl.Expr, pattern: str, among: str) -> pl.Expr:
    """Matches of `pattern` per match of `among`; 0 when there are none."""
    whole = text.str.count_matches(among)
    return pl.when(whole > 0).then(text.str.count_matches(pattern) / whole).otherwise(0.0)


def cjk_share(text: pl.Expr) -> pl.Expr:
    """Share of CJK ideographs among letters, 0 to 1; 0 without letters."""
    return share_of(text, rf"[{HAN}&&{LETTER}]", LETTER)


def by_source(values: Mapping[str, object], default: object, dtype: type[pl.DataType]) -> pl.Expr:
    """The value of each row's `source`, else that of the folder that it lies in, else `default`."""
    source = pl.col("source")
    own, parent = (
        name.replace_strict(values, default=None, return_dtype=dtype)
        for name in (source, source.str.split("/").list.first())
    )
    return pl.coalesce(own, parent, pl.lit(default, dtype))
