"""Short texts that differ in a fact alone: two fillings of a form resemble each other, and are no duplicates."""

import re
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein, Opcode

FACT_PLACES = 2
"""Short texts that differ at this many places or fewer state different facts; copies with noise differ at more."""

FACT_CHARS = 8
"""Letters of the longest fact."""


def different_facts(left: str, right: str, short: int) -> bool:
    """True when two short texts differ by a word or a number at one or two places alone, as two fillings of a form do.

    Words that one has more do not count, wherever they stand: sites put them around a copied text, and editors into it.
    """
    if min(len(left), len(right)) >= short:
        return False
    places: list[list[Opcode]] = []
    for edit in Levenshtein.opcodes(left, right):
        if edit.tag != "equal":
            if places and edit.src_start <= places[-1][-1].src_end + 1:  # one equal letter does not part two places
                places[-1].append(edit)
            else:
                places.append([edit])
    return 0 < len(places) <= FACT_PLACES and all(_is_fact(place, left, right) for place in places)


def _is_fact(place: Sequence[Opcode], left: str, right: str) -> bool:
    """A word for another, or a number on one side."""
    here = left[place[0].src_start : place[-1].src_end]
    there = right[place[0].dest_start : place[-1].dest_end]
    numbers = _NUMBER.search(here + there) is not None
    return max(len(here), len(there)) <= FACT_CHARS and (numbers or bool(here and there))


_NUMBER = re.compile(r"[\d零〇一二两三四五六七八九十百千万亿半]")
