"""Evaluation sets, and whether a text shares a run of characters with one of their items."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kun.corpus.files import raw_files
from kun.corpus.items import Reject
from kun.corpus.letters import bare
from kun.corpus.readers import has_fields, objects
from kun.corpus.runs import Words, blocks, mixed, runs_of_all
from kun.corpus.script import converter
from kun.corpus.text import normalise
from kun.errors import InputError

MIN_WHOLE = 8
"""Letters and digits of the shortest field that counts; shorter ones ("是", "北京") stand in any text."""

ITEM_IDS = ("id", "question_id", "")
"""Names that published sets give the id of an item; CMMLU's column has none."""

CHOICES = ("a", "b", "c", "d")
"""Fields of a multiple-choice item, in C-Eval and CMMLU."""


class EvalGrams:
    """Every run of `ngram` letters and digits of an evaluation set; a field shorter than that is matched whole."""

    def __init__(self, items: Iterable[tuple[str, str]], ngram: int) -> None:
        """`items` are (evaluation id, text of a field)."""
        self._owners: dict[str, str] = {}
        self.ids: set[str] = set()
        for eval_id, text in items:
            self.ids.add(eval_id)
            letters = bare(normalise(text))
            size = min(ngram, len(letters))
            if size >= min(MIN_WHOLE, ngram):
                for start in range(len(letters) - size + 1):
                    self._owners.setdefault(letters[start : start + size], eval_id)
        self._sizes = sorted({len(gram) for gram in self._owners}, reverse=True)

    @cached_property
    def _sieves(self) -> list["_Sieve"]:
        return [_Sieve([gram for gram in self._owners if len(gram) == size]) for size in self._sizes]

    def overlaps(self, letters: Sequence[str]) -> list[str | None]:
        """`overlap` of many texts of which only letters and digits are left (`bare`): a sieve lets few through to it."""
        found: list[str | None] = [None] * len(letters)
        for start, end in blocks(letters):
            part = letters[start:end]
            for row in sorted({row for sieve in self._sieves for row in sieve.rows(part)}):
                found[start + row] = self._overlap(part[row])
        return found

    def overlap(self, text: str) -> str | None:
        """The first span that `text` shares with an evaluation item, as long as it goes on; None when there is none."""
        return self._overlap(bare(normalise(text)))

    def _overlap(self, letters: str) -> str | None:
        for size in self._sizes:
            for start in range(len(letters) - size + 1):
                if letters[start : start + size] in self._owners:
                    return letters[start : self._end(letters, start, size)]
        return None

    def owner(self, span: str) -> str:
        """Id of the evaluation item that a span of `overlap` comes from."""
        return next(self._owners[span[:size]] for size in self._sizes if span[:size] in self._owners)

    def quote(self, text: str) -> str | None:
        """The span that `text` shares, with the item it comes from, as ledgers show it; None when there is none."""
        span = self.overlap(text)
        return span and f"{span} ({self.owner(span)})"

    def _end(self, letters: str, start: int, size: int) -> int:
        while letters[start + 1 : start + 1 + size] in self._owners and start + 1 + size <= len(letters):
            start += 1
        return start + size


class _Sieve:
    """Finds the texts that may have one of many runs of the same length: misses none, and hardly lets another through."""

    BITS = 24  # of the table that most runs fail at; 10,000 evaluation items fill 4% of it

    def __init__(self, grams: Sequence[str]) -> None:
        self._size = len(grams[0])
        self._words = np.unique(self._hashed(grams)[0])
        self._table = np.zeros(2**self.BITS, dtype=bool)
        self._table[self._places(self._words)] = True

    def rows(self, letters: Sequence[str]) -> set[int]:
        """Places of the texts in which a run is found."""
        words, rows = self._hashed(letters)
        likely = self._table[self._places(words)]
        words, rows = words[likely], rows[likely]
        # np.isin would sort all evaluation runs anew for every block.
        nearest = np.searchsorted(self._words, words).clip(max=len(self._words) - 1)
        return set(rows[self._words[nearest] == words].tolist())

    def _hashed(self, texts: Sequence[str]) -> tuple[Words, NDArray[np.int64]]:
        words, rows = runs_of_all(texts, self._size)
        return mixed(words), rows

    def _places(self, words: Words) -> NDArray[np.int64]:
        return (words >> np.uint64(64 - self.BITS)).astype(np.int64)


def load_evals(place: Path, fields: Sequence[str], ngram: int, both_scripts: bool = False) -> EvalGrams:
    """Read a file of records, or all below a folder; an empty or missing folder is fine.

    An item is called by its file and its id (or line). `both_scripts` adds each in simplified and in traditional script.
    Raises InputError for what cannot be read, line or file: an evaluation item passed over would be trained on.
    """
    items = _items(place, fields, ngram)
    return EvalGrams(_in_both_scripts(items) if both_scripts else items, ngram)


def _items(place: Path, fields: Sequence[str], ngram: int) -> Iterator[tuple[str, str]]:
    folder = place.parent if place.is_file() else place
    for path in [place] if place.is_file() else raw_files(place):
        if not has_fields(path):
            raise InputError(
                f"{path}: evaluation sets are read as jsonl, json, csv, tsv or parquet; convert or unpack the file, or move "
                "it away"
            )
        name = path.relative_to(folder).as_posix()
        for item in objects(path, name):
            if isinstance(item, Reject):
                raise InputError(f"{folder}/{item.origin}: {item.reason} ({item.value}); mend or remove this line")
            origin, record = item
            values = {key.lower(): value for key, value in record.items()}  # CMMLU has Question, C-Eval question
            texts = [text for field in fields for text in _strings(values.get(field.lower()))]
            if not texts:
                known = ", ".join(record)
                raise InputError(f"{folder}/{origin}: no text in decontaminate.fields; this record has: {known}")
            called = next((f"{name}:{values[key]}" for key in ITEM_IDS if key in values), origin)
            for text in texts:
                yield from ((called, form) for form in _with_choices(text, values, ngram))


def _with_choices(text: str, values: Mapping[str, object], ngram: int) -> list[str]:
    """A question shorter than a run goes on into its choices, with and without their letters; any other text is itself.

    "下列说法正确的是" alone stands in many texts. The run begins with the question: a choice alone never counts.
    """
    choices = [values.get(key) for key in CHOICES]
    letters = bare(normalise(text))
    if len(letters) >= ngram or not all(isinstance(choice, str) for choice in choices):
        return [text]
    plain, lettered = (
        "".join(map(str, choices)),
        "".join(f"{key}{value}" for key, value in zip(CHOICES, choices, strict=True)),
    )
    return [(letters + bare(normalise(form)))[:ngram] for form in (plain, lettered)]


def _strings(value: object) -> Iterator[str]:
    """The strings of a field, which may be a list of choices or turns."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _in_both_scripts(items: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    to_simplified, to_traditional = (converter(to, "decontaminate.both_scripts") for to in ("t2s", "s2t"))
    for item, text in items:
        yield from ((item, variant) for variant in dict.fromkeys((text, to_simplified(text), to_traditional(text))))
