"""Text that was decoded with the wrong encoding, undone where that is certain.

Certain: the whole text, written in the wrong encoding, is valid UTF-8 (so reading that wrongly again gives the very same
text). Half-broken text stays as it is, for the rule `mojibake` to drop. It must be asked before `normalise`, which removes
the control characters that some bytes are read as.
"""

import re

import polars as pl

from kun.corpus.encoding import MIN_PLAUSIBLE, common_share

_IDEOGRAPH = re.compile("[一-龥]")
_WESTERN = r"[\x{C2}-\x{F4}][\x{80}-\x{BF}\x{152}-\x{178}\x{192}\x{2C6}\x{2DC}\x{2013}-\x{2122}]"
"""Beginning of a character in UTF-8, read as Latin-1 or Windows-1252."""
_AS_GBK = "[锛銆鈥涓绗鐨鏄浠]"
"""Beginnings of frequent characters in UTF-8, read as GBK."""
_CP1252 = {
    code: bytes([place]).decode("latin-1")
    for place in range(0x80, 0xA0)
    if (code := ord(bytes([place]).decode("cp1252", "replace"))) != 0xFFFD
}
"""Characters of Windows-1252 -> those that Latin-1 has at the same byte; the five bytes that it leaves open stay."""


def suspicious(texts: pl.Series) -> pl.Series:
    """Whether it is worth asking `mend_mojibake`."""
    foreign = (~texts.str.contains(_IDEOGRAPH.pattern)).arg_true()  # what UTF-8 looks like in Latin-1 has no ideographs
    western = foreign.filter(texts.gather(foreign).str.contains(_WESTERN))
    return texts.str.contains(_AS_GBK).scatter(western, True)


def mend_mojibake(text: str) -> str:
    """UTF-8 that was read as Latin-1, Windows-1252 or GBK, once or more, as it was meant; any other text as it is."""
    while meant := _as_western(text) or _as_gbk(text):  # each is shorter than before
        text = meant
    return text


def _as_western(text: str) -> str:
    """The text behind UTF-8 read as Windows-1252 or Latin-1; "" when there is none."""
    if _IDEOGRAPH.search(text):  # nearly every Chinese text ends here
        return ""
    try:
        meant = text.translate(_CP1252).encode("latin-1").decode("utf-8")
    except UnicodeError:
        return ""
    return meant if meant != text else ""


def _as_gbk(text: str) -> str:
    """The text behind UTF-8 read as GBK; "" when there is none, or when it reads no better."""
    try:
        meant = text.encode("gbk").decode("utf-8")
    except UnicodeError:
        return ""
    # Two bytes of GBK can be UTF-8 by chance: 山 would be ɽ.
    return meant if common_share(meant) >= MIN_PLAUSIBLE and common_share(meant) > common_share(text) else ""
