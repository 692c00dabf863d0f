"""JSON: a record a line, or one array."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from kun.corpus.encoding import MARK_ERRORS, UNDECODABLE
from kun.corpus.files import Line, LineRange, encoding_of, lines, open_raw
from kun.corpus.items import Item, Reject, checked_object, printable, unusable

MAX_DEPTH = 100
"""Levels of a record in an array; texts lie on the first few."""


def read_jsonl(path: Path, name: str, within: LineRange | None = None) -> Iterator[Item]:
    """Each line that is not blank gives one item."""
    for line in lines(path, within):
        if line.too_long or line.text.strip():
            yield _object(line, f"{name}:{line.number}")


def _object(line: Line, origin: str) -> Item:
    if bad := unusable(line, origin):
        return bad
    try:
        value = json.loads(line.text)
    except (ValueError, RecursionError) as error:  # ValueError: also integers of thousands of digits
        return Reject(origin, "malformed_json", str(error), printable(line.text))
    return checked_object(value, origin)


def read_json(path: Path, name: str) -> Iterator[Item]:
    """One array of objects, or lines in spite of the suffix, as some corpora are published."""
    with open_raw(path) as raw:
        head = codecs.getincrementaldecoder(encoding_of(path))("ignore").decode(raw.read(64)).lstrip("\ufeff \t\r\n")
    yield from _array(path, name) if head.startswith("[") else read_jsonl(path, name)


def _array(path: Path, name: str) -> Iterator[Item]:
    """The objects of one JSON array, held one at a time; what follows a fault cannot be told apart any more."""
    import ijson

    number = 0
    with open_raw(path) as raw:
        try:
            for number, value in enumerate(_elements(_Utf8(raw, encoding_of(path))), 1):
                yield checked_object(value, f"{name}:{number}")
        except (ijson.JSONError, ValueError) as error:
            yield Reject(f"{name}:{number + 1}", "malformed_json", printable(" ".join(str(error).split())), path.name)


def _elements(stream: "_Utf8") -> Iterator[Any]:
    """The elements of the array that a stream holds; ValueError for one nested deeper than MAX_DEPTH.

    `ijson.items` has no such limit: it keeps a path that grows with every level, and fills the memory.
    """
    import ijson
    from ijson.common import ObjectBuilder

    events = ijson.basic_parse(stream, use_float=True)
    next(events)  # the beginning of the array
    builder, depth = ObjectBuilder(), 0
    for event, value in events:
        if depth == 0 and event == "end_array":
            continue
        depth += (event in ("start_map", "start_array")) - (event in ("end_map", "end_array"))
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        builder.event(event, value)
        if depth == 0:
            yield builder.value
            builder = ObjectBuilder()


class _Utf8:
    """A binary stream of any encoding as one of UTF-8, for a parser that knows no other."""

    def __init__(self, raw: IO[bytes], encoding: str) -> None:
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder(encoding)(MARK_ERRORS)

    def read(self, size: int = -1) -> bytes:
        """About `size` bytes, b"" at the end only (ijson also asks for 0 bytes, to learn their type)."""
        while True:
            chunk = self._raw.read(size)
            text = self._decoder.decode(chunk, final=not chunk and size != 0)
            if text or not chunk:
                return text.replace(UNDECODABLE, "\ufffd").encode("utf-8", "replace")
