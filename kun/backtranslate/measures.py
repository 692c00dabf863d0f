"""Numbers about a generated text and the text that it came from."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np

from kun.corpus.letters import bare

NUMBERS = re.compile(r"\d+(?:\.\d+)?")


def longest_common(left: str, right: str) -> int:
    """Characters of the longest common substring; O(len(left) x len(right)) in numpy rows."""
    if not left or not right:
        return 0
    letters = np.frombuffer(right.encode("utf-32-le"), dtype=np.uint32)
    runs = np.zeros(len(right) + 1, dtype=np.int32)
    best = 0
    for code in np.frombuffer(left.encode("utf-32-le"), dtype=np.uint32):
        runs[1:] = np.where(letters == code, runs[:-1] + 1, 0)
        best = max(best, int(runs.max()))
    return best


def copy_rate(answer: str, text: str) -> float:
    """Longest common substring / length of the text: 1.0 means that nothing was polished."""
    return longest_common(answer, text) / len(text) if text else 0.0


def support(answer: str, text: str) -> float:
    """How much of the answer stands in the text, 0..1: the lower of two shares.

    One is the share of the answer's character bigrams (letters and digits) that the text has, the other the share of its
    numbers. Bigrams follow names and terms; a wrong number is the error that readers forgive least.
    """
    answer_letters, known = bare(answer), set(map("".join, pairwise(bare(text))))
    bigrams = list(map("".join, pairwise(answer_letters)))
    of_bigrams = sum(gram in known for gram in bigrams) / len(bigrams) if bigrams else 0.0
    # A list that the answer itself numbers (1. 2. 3.) claims nothing.
    claimed = set(NUMBERS.findall(re.sub(r"(?m)^\s*\d{1,2}(?:[、)）]|\.(?!\d))", "", answer)))
    of_numbers = len(claimed & set(NUMBERS.findall(text))) / len(claimed) if claimed else 1.0
    return min(of_bigrams, of_numbers)


def repeated_unit(text: str, max_repeats: int, max_unit: int = 64) -> str:
    """The first unit of 1..`max_unit` characters that stands more than `max_repeats` times in a row, or "".

    Runs of one punctuation mark ("......", "-----", table rules) are layout, runs of one digit are numbers (300000000);
    neither counts. Vectorised: the text is
    compared with itself shifted by each unit length, O(max_unit x len(text)).
    """
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    for unit in range(1, min(max_unit, len(codes) // (max_repeats + 1)) + 1):
        same = codes[unit:] == codes[:-unit]
        edges = np.flatnonzero(np.diff(np.concatenate(([0], same.view(np.int8), [0]))))
        starts, ends = edges[::2], edges[1::2]
        for start in starts[ends - starts >= unit * max_repeats]:
            found = text[start : start + unit]
            if bare(found) and not (unit == 1 and found.isdigit()):
                return found
    return ""


def distinct_share(text: str, size: int = 4) -> float:
    """Distinct character n-grams / n-grams; 1.0 for a text shorter than `size`."""
    grams = len(text) - size + 1
    return len({text[start : start + size] for start in range(grams)}) / grams if grams > 0 else 1.0


def character_f1(left: str, right: str) -> float:
    """F1 of the multisets of characters (letters and digits), 0..1."""
    a, b = Counter(bare(left)), Counter(bare(right))
    shared = (a & b).total()
    return 2 * shared / (a.total() + b.total()) if shared else 0.0
