"""JSON: a record a line, or one array."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kun.corpus.encoding import MARK_ERRORS, UNDECODABLE
from kun.corpus.files import Line, LineRange, encoding_of, lines, open_raw
from kun.corpus.items import Item, Reject, checked_object, printable, unusable
from kun.corpus.layouts import MISSING


def read_jsonl(path: Path, name: str, within: LineRange | None = None) -> Iterator[Item]:
    """Each line that is not blank gives one item."""
    for line in lines(path, within):
        if line.text.strip():
            yield _object(line, f"{name}:{line.number}")


def _object(line: Line, origin: str) -> Item:
    if bad := unusable(line, origin):
        return bad
    try:
        value = json.loads(line.text)
    except (ValueError, RecursionError) as error:  # ValueError: also integers of thousands of digits
        return Reject(origin, "malformed_json", str(error), printable(line.text))
    return checked_object(value, origin, printable(line.text))


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
        values = ijson.items(_Utf8(raw, encoding_of(path)), "item", use_float=True)
        while True:
            number += 1
            try:
                value = next(values, MISSING)
            except (ijson.JSONError, ValueError) as error:
                yield Reject(f"{name}:{number}", "malformed_json", printable(str(error)), path.name)
                return
            if value is MISSING:
                return
            yield checked_object(
                value, f"{name}:{number}", printable(json.dumps(value, ensure_ascii=False, default=str))
            )


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
