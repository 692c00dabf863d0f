"""Raw files, read as a stream: every record or line comes out once, as a Record or as a Reject with its reason."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from kun.corpus.encoding import MARK_ERRORS, SAMPLE, UNDECODABLE, guess_encoding
from kun.corpus.text import normalise

MAX_LINE = 8 * 2**20
"""Characters of the longest line, passage or csv field that is held in memory."""

EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Record:
    """One text with its place: "file:line", lines counted from 1."""

    origin: str
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A line, record or file that gives no text."""

    origin: str
    reason: str
    value: str = ""
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Fields:
    """Names that text and title may have; the first that a record has counts."""

    text: Sequence[str]
    title: Sequence[str]


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end; `too_long` ones carry only their beginning."""

    number: int
    text: str
    too_long: bool = False


def raw_files(folder: Path) -> list[Path]:
    """All files below `folder` in path order, without README files and anything hidden."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not path.name.startswith("README")
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def source_of(name: str) -> str:
    """Relative path without the suffix of its format: "howto.jsonl.gz" -> "howto", "wiki.zh/tea.txt" -> "wiki.zh/tea"."""
    suffix = next((known for known in _READERS if name.endswith(known)), Path(name).suffix)
    return name.removesuffix(suffix)


def read(path: Path, name: str, fields: Fields) -> Iterator[Record | Reject]:
    """All records of a file, by its suffix; `name` is how origins call the file.

    A file that holds nothing at all gives one `empty_file`, one of an unknown kind one `unknown_format`.
    """
    suffix = next((known for known in _READERS if path.name.endswith(known)), None)
    if suffix is None:
        yield Reject(name, "unknown_format", path.suffix, path.name)
        return
    empty = True
    for found in _READERS[suffix](path, name, fields):
        empty = False
        yield found
    if empty:
        yield Reject(name, "empty_file", str(path.stat().st_size), path.name)


def objects(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]] | Reject]:
    """The JSON objects of a .jsonl or .jsonl.gz file with their origins; each line that is not blank gives one item."""
    try:
        for line in lines(path):
            if line.text.strip():
                yield _object(line, f"{name}:{line.number}")
    except (EOFError, OSError, zlib.error) as error:
        if not path.name.endswith(".gz"):
            raise
        yield Reject(name, "undecodable", f"gzip: {error}", path.name)


def lines(path: Path) -> Iterator[Line]:
    """Decoded lines; what the file's encoding does not allow becomes UNDECODABLE. Holds one line of up to MAX_LINE."""
    with _open(path) as raw:
        encoding = guess_encoding(raw.read(SAMPLE))
    with _open(path) as raw, TextIOWrapper(raw, encoding=encoding, errors=MARK_ERRORS) as stream:
        number = 0
        while piece := stream.readline(MAX_LINE + 1):
            number += 1
            too_long = len(piece) > MAX_LINE and not piece.endswith("\n")
            rest = piece
            while rest and not rest.endswith("\n"):
                rest = stream.readline(2**16)
            yield Line(number, piece[:EXCERPT] if too_long else piece.removesuffix("\n"), too_long)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _object(line: Line, origin: str) -> tuple[str, dict[str, Any]] | Reject:
    if bad := _unusable(line, origin):
        return bad
    try:
        value = json.loads(line.text)
    except (ValueError, RecursionError) as error:  # ValueError: also integers of thousands of digits
        return Reject(origin, "malformed_json", str(error), _printable(line.text))
    if not isinstance(value, dict):
        return Reject(origin, "not_an_object", type(value).__name__, _printable(line.text))
    return origin, value


def _unusable(line: Line, origin: str) -> Reject | None:
    if line.too_long:
        return Reject(origin, "line_too_long", f"over {MAX_LINE}", _printable(line.text))
    if UNDECODABLE in line.text:
        return Reject(origin, "undecodable", f"{line.text.count(UNDECODABLE)} bad sequences", _printable(line.text))
    return None


def _printable(text: str) -> str:
    """The beginning of `text` without the surrogates that UTF-8 cannot hold."""
    return text[:EXCERPT].replace(UNDECODABLE, "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _record(origin: str, fields: dict[str, Any], names: Fields) -> Record | Reject:
    excerpt = _printable(json.dumps(fields, ensure_ascii=False))
    name = next((name for name in names.text if name in fields), None)
    if name is None:
        return Reject(origin, "missing_text", f"fields: {', '.join(map(str, fields))}", excerpt)
    if fields[name] is None:
        return Reject(origin, "null_text", name, excerpt)
    if not isinstance(fields[name], str):
        return Reject(origin, "wrong_type", f"{name}: {type(fields[name]).__name__}", excerpt)
    text = normalise(fields[name])
    if not text:
        return Reject(origin, "empty_text", name, excerpt)
    title = next((fields[name] for name in names.title if isinstance(fields.get(name), str)), "")
    return Record(origin, text, normalise(title))


def _jsonl(path: Path, name: str, fields: Fields) -> Iterator[Record | Reject]:
    for item in objects(path, name):
        yield item if isinstance(item, Reject) else _record(*item, fields)


def _txt(path: Path, name: str, fields: Fields) -> Iterator[Record | Reject]:
    """Passages are separated by blank lines; a passage with one bad line is rejected as a whole."""
    passage: list[Line] = []
    size = 0
    for line in lines(path):
        if line.text.strip():
            size += len(line.text)
            if size <= MAX_LINE or not passage:
                passage.append(line)
        elif passage:
            yield _passage(passage, size, name)
            passage, size = [], 0
    if passage:
        yield _passage(passage, size, name)


def _passage(passage: list[Line], size: int, name: str) -> Record | Reject:
    origin = f"{name}:{passage[0].number}"
    if size > MAX_LINE:
        return Reject(origin, "line_too_long", f"passage of {size}", _printable(passage[0].text))
    for line in passage:
        if bad := _unusable(line, origin):
            return bad
    text = normalise("\n".join(line.text for line in passage))
    return Record(origin, text, "") if text else Reject(origin, "empty_text", "passage")


def _csv(path: Path, name: str, fields: Fields) -> Iterator[Record | Reject]:
    """Comma-separated with a header; a record keeps the number of the line that it starts on."""
    csv.field_size_limit(MAX_LINE)  # also what bounds an unclosed quote
    feed = _CsvLines(path, name)
    rows = csv.reader(feed, strict=True)
    header: list[str] = []
    while True:
        origin = f"{name}:{feed.number + 1}"
        row = _csv_row(rows)
        yield from feed.take_rejects()
        if row is None:
            break
        if isinstance(row, csv.Error):
            yield Reject(origin, "malformed_csv", str(row), _printable(feed.last))
        elif row and header:
            yield _csv_record(origin, header, row, fields)
        elif row:
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
        self.number = 0
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            self.number, self.last = line.number, line.text
            if not line.too_long:
                return line.text + "\n"
            if bad := _unusable(line, f"{self._name}:{line.number}"):
                self._rejects.append(bad)
        raise StopIteration

    def take_rejects(self) -> list[Reject]:
        taken, self._rejects = self._rejects, []
        return taken


def _csv_record(origin: str, header: list[str], row: list[str], fields: Fields) -> Record | Reject:
    excerpt = _printable(",".join(row))
    if UNDECODABLE in "".join(row):
        return Reject(origin, "undecodable", "", excerpt)
    if len(row) != len(header):
        return Reject(origin, "malformed_csv", f"{len(row)} fields, the header has {len(header)}", excerpt)
    return _record(origin, dict(zip(header, row, strict=True)), fields)


_READERS = {".jsonl": _jsonl, ".jsonl.gz": _jsonl, ".csv": _csv, ".txt": _txt}
