"""Comma- and tab-separated values with a header."""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kun.corpus.encoding import UNDECODABLE
from kun.corpus.files import MAX_LINE, Line, lines
from kun.corpus.items import Item, Reject, printable, repeated, unusable


def read_csv(path: Path, name: str) -> Iterator[Item]:
    """Comma-separated values; a quoted one may hold commas, line ends and doubled quotes."""
    yield from _separated(path, name, strict=True)


def read_tsv(path: Path, name: str) -> Iterator[Item]:
    """Tab-separated values have no quoting: a quote is a character like others."""
    yield from _separated(path, name, delimiter="\t", quoting=csv.QUOTE_NONE)


def _separated(path: Path, name: str, **dialect: Any) -> Iterator[Item]:
    """Values with a header; a record keeps the number of the line that it starts on."""
    csv.field_size_limit(MAX_LINE)  # also what bounds an unclosed quote
    feed = _CsvLines(path, name)
    rows = csv.reader(feed, **dialect)
    header: list[str] = []
    while True:
        feed.begin_record()
        origin = f"{name}:{feed.number + 1}"
        row = _csv_row(rows)
        yield from feed.take_rejects()
        if row is None:
            break
        if isinstance(row, csv.Error):
            yield Reject(origin, "malformed_csv", str(row), printable(feed.give_back()))
            rows = csv.reader(feed, **dialect)
        elif row and header:
            yield _csv_item(origin, header, row)
        elif row:
            if twice := repeated(row):
                yield Reject(origin, "malformed_csv", f"column {twice!r} stands twice", printable(",".join(row)))
                return
            header = row


def _csv_row(rows: Iterator[list[str]]) -> list[str] | csv.Error | None:
    """The next row, what is wrong with it, or None at the end; a blank line is an empty row."""
    try:
        return next(rows, None)
    except csv.Error as error:
        return error


class _CsvLines:
    """Lines for `csv.reader`, which pulls as many as a record needs; lines too long to hold are set aside."""

    def __init__(self, path: Path, name: str) -> None:
        self._lines = lines(path)
        self._name = name
        self._rejects: list[Reject] = []
        self._record: list[Line] = []
        self._again: deque[Line] = deque()
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while line := self._again.popleft() if self._again else next(self._lines, None):
            self.number = line.number
            if not line.too_long:
                self._record.append(line)
                return line.text + "\n"
            if bad := unusable(line, f"{self._name}:{line.number}"):
                self._rejects.append(bad)
        raise StopIteration

    def begin_record(self) -> None:
        """What was pulled before belongs to records that are read."""
        self._record = []

    def give_back(self) -> str:
        """All lines of the broken record but the first, to be read again, lest a quote that is never closed swallow them;
        the first one is returned."""
        first, *rest = self._record
        self._again.extendleft(reversed(rest))
        self.number = first.number
        return first.text

    def take_rejects(self) -> list[Reject]:
        """The lines set aside since the last call."""
        taken, self._rejects = self._rejects, []
        return taken


def _csv_item(origin: str, header: list[str], row: list[str]) -> Item:
    excerpt = printable(",".join(row))
    if UNDECODABLE in "".join(row):
        return Reject(origin, "undecodable", "", excerpt)
    if len(row) != len(header):
        return Reject(origin, "malformed_csv", f"{len(row)} fields, the header has {len(header)}", excerpt)
    return origin, dict(zip(header, row, strict=True))
