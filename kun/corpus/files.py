"""Raw files as bytes and lines: which there are, how they are compressed, in which encoding they are."""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader, FileIO, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import IO, Any

from kun.corpus.encoding import MARK_ERRORS, SAMPLE, guess_encoding
from kun.errors import InputError

MAX_LINE = 8 * 2**20
"""Characters of the longest line, passage or csv field that is held in memory."""

EXCERPT = 200
COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end; `too_long` ones carry only their beginning."""

    number: int
    text: str
    too_long: bool = False


@dataclass(frozen=True, slots=True)
class LineRange:
    """Some lines of a file that is not compressed."""

    start: int
    """Byte of the first one."""
    end: int
    """Byte behind the last one."""
    first: int
    """Number of the first one, from 1."""


def raw_files(folder: Path) -> list[Path]:
    """All files below `folder` in path order, without README files and anything hidden; links are followed.

    Raises InputError for a link that leads nowhere or back to a folder that it lies in.
    """
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if (here / name).is_symlink() and here.resolve().is_relative_to((here / name).resolve()):
                raise InputError(f"{here / name} leads back to a folder that it lies in; remove the link")
        found += [here / name for name in names if not name.startswith((".", "README"))]
    if lost := next((path for path in found if not path.exists()), None):
        raise InputError(f"{lost} is a link that leads nowhere; mend or remove it")
    return sorted(found)


def suffixes_of(name: str) -> tuple[str, str]:
    """(suffix of the format, suffix of the compression or ""): "a.b.jsonl.gz" -> (".jsonl", ".gz")."""
    path = Path(name)
    packed = path.suffix if path.suffix in COMPRESSED else ""
    return Path(name.removesuffix(packed)).suffix, packed


def source_of(name: str) -> str:
    """Relative path without the suffixes of its format: "howto.jsonl.gz" -> "howto", "wiki.zh/tea.txt" -> "wiki.zh/tea"."""
    return name.removesuffix("".join(suffixes_of(name)))


def open_raw(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed."""
    if path.name.endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if path.name.endswith(".zst"):
        import pyarrow

        return BufferedReader(pyarrow.input_stream(str(path), compression="zstd"))
    return path.open("rb")


def encoding_of(path: Path) -> str:
    """The encoding that the beginning of a file reads best in."""
    found = path.stat()
    return _encoding(path, found.st_size, found.st_mtime_ns)


@lru_cache(16)
def _encoding(path: Path, size: int, changed: int) -> str:
    with open_raw(path) as raw:
        return guess_encoding(raw.read(SAMPLE))


def lines(path: Path, within: LineRange | None = None) -> Iterator[Line]:
    """Decoded lines; what the file's encoding does not allow becomes UNDECODABLE. Holds one line of up to MAX_LINE."""
    number = within.first - 1 if within else 0
    with _opened(path, within) as raw, TextIOWrapper(raw, encoding=encoding_of(path), errors=MARK_ERRORS) as stream:
        while piece := stream.readline(MAX_LINE + 1):
            number += 1
            too_long = len(piece) > MAX_LINE and not piece.endswith("\n")
            rest = piece
            while rest and not rest.endswith("\n"):
                rest = stream.readline(2**16)
            yield Line(number, piece[:EXCERPT] if too_long else piece.removesuffix("\n"), too_long)


def _opened(path: Path, within: LineRange | None) -> IO[bytes]:
    if not within:
        return open_raw(path)
    raw = path.open("rb", buffering=0)
    raw.seek(within.start)
    return BufferedReader(_Until(raw, within.end))


class _Until(RawIOBase):
    """The bytes of a file up to a place."""

    def __init__(self, raw: FileIO, end: int) -> None:
        self._raw, self._end = raw, end

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As of RawIOBase."""
        room = min(len(buffer), self._end - self._raw.tell())
        return self._raw.readinto(memoryview(buffer)[:room]) if room > 0 else 0

    def close(self) -> None:
        """With the file."""
        self._raw.close()
        super().close()
