"""Letters and digits of texts: what is compared when punctuation and layout do not count. Of many texts at once by table
look-up, ten times as fast as a regex for each."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kun.corpus.runs import ASSIGNED, CODES, blocks, codes_of


def bare(text: str) -> str:
    """Letters and digits only, in lower case."""
    return bare_all([text])[0]


def bare_all(texts: Sequence[str]) -> list[str]:
    """`bare` of each text."""
    kept, lower = _tables()
    found: list[str] = []
    for start, end in blocks(texts):
        block = texts[start:end]
        codes = codes_of("".join(block))
        stays = kept[codes]
        letters = lower[codes[stays]].tobytes().decode("utf-32-le", "surrogatepass")
        ends = np.cumsum(np.fromiter(map(len, block), dtype=np.int64, count=len(block)))
        places = np.concatenate([[0], np.cumsum(stays)])[np.concatenate([[0], ends])].tolist()
        found += [letters[left:right] for left, right in pairwise(places)]
    return found


def comparable(texts: Sequence[str]) -> list[str]:
    """`bare` of each text; a text without letters stands for itself, lest all of them be equal."""
    return [letters or text for letters, text in zip(bare_all(texts), texts, strict=True)]


@cache
def _tables() -> tuple[NDArray[np.bool_], NDArray[np.uint32]]:
    """For each code point whether it stays, and its lower case (its own where that is no single character)."""
    characters = [chr(code) for code in range(ASSIGNED)]
    kept = np.zeros(CODES, bool)
    kept[:ASSIGNED] = [character.isalnum() for character in characters]
    lower = np.arange(CODES, dtype=np.uint32)
    for code in np.flatnonzero(kept).tolist():
        small = characters[code].lower()
        if len(small) == 1:
            lower[code] = ord(small)
    return kept, lower
