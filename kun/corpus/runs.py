"""Runs of characters as numbers, of many texts at once: what signatures and look-ups are made of."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

FACTOR = np.uint64(0x9E3779B97F4A7C15)
CODES = 0x110000
ASSIGNED = 0x34000
"""Planes 0 to 3. Behind them are no letters, but variation selectors and private use: tables of characters, which every
process makes, need not ask for those."""
_BLOCK = 2**16  # characters at a time: the passes over them stay in the processor's cache


def runs_of(text: str, size: int) -> Words:
    """A number for each run of `size` characters: a polynomial in their code points, modulo 2^64."""
    return polynomials(codes_of(text).astype(np.uint64), size)


def runs_of_all(texts: Sequence[str], size: int) -> tuple[Words, NDArray[np.int64]]:
    """The runs of all texts, and for each the place of its text; no run reaches from one text into the next."""
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    words = polynomials(codes_of("".join(texts)).astype(np.uint64), size)
    rows = np.repeat(np.arange(len(texts)), sizes)
    inside = rows[: len(words)] == rows[size - 1 :]
    return words[inside], rows[: len(words)][inside]


def mixed(words: Words) -> Words:
    """Every bit of the result depends on every bit of the word (splitmix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def blocks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of texts that hold about _BLOCK characters together, at least one text each."""
    start, size = 0, 0
    for place, text in enumerate(texts):
        if size and size + len(text) > _BLOCK:
            yield start, place
            start, size = place, 0
        size += len(text)
    if start < len(texts):
        yield start, len(texts)


def codes_of(text: str) -> NDArray[np.uint32]:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def polynomials(codes: Words, size: int) -> Words:
    """A number for each run of `size` codes; made of halves, it takes log2(size) passes instead of `size`."""
    if size == 1:
        return codes
    half = size // 2
    halves = polynomials(codes, half)
    whole = joined(halves, half, halves, half)
    return whole if size % 2 == 0 else joined(whole, 2 * half, codes, 1)


def joined(left: Words, left_size: int, right: Words, right_size: int) -> Words:
    """Numbers of the runs whose first `left_size` codes have their number in `left`, the others in `right`."""
    n_words = max(len(right) - left_size, 0)
    factor = np.uint64(pow(int(FACTOR), right_size, 2**64))
    return left[:n_words] * factor + right[left_size : left_size + n_words]
