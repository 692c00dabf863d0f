"""Raw files cut into pieces of like size, so that many processes can read them and a change costs the pieces it touches."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

from kun.corpus.files import LineRange, encoding_of, suffixes_of
from kun.corpus.text import unit_hash
from kun.work.parts import Piece, file_key
from kun.work.scratch import content_key

SPAN_BYTES = 32 * 2**20
"""Of a piece of a long file: a second or two of work, and some hundred pieces for 5 GB."""

SMALL_BYTES = 2**19
"""Smaller files share a piece."""

BUNDLE_BYTES = 4 * 2**20
"""Of such a piece, about."""

CUT_SHARE = 1 / 32
"""Of the names of small files that begin a bundle, whatever the size of the last: a new file moves the others as far as the
next such name at most."""

BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Span:
    """A raw file, or some of its lines."""

    path: Path
    name: str
    """Relative to the folder of raw files: what origins call it."""
    within: LineRange | None = None


def pieces_of(files: Mapping[str, Path], cut_long: bool) -> list[Piece]:
    """Pieces with lists of Span as payload, in order of the files (name -> path), each keyed by its bytes.

    `cut_long`: files of a JSON value a line may be cut between lines.
    """
    pieces: list[Piece] = []
    bundle: dict[Span, str] = {}
    for name, path in files.items():
        size = path.stat().st_size
        full = sum(span.path.stat().st_size for span in bundle) >= BUNDLE_BYTES
        if bundle and (full or size >= SMALL_BYTES or unit_hash("bundle", name) < CUT_SHARE):
            pieces.append(_piece(bundle))
            bundle = {}
        if cut_long and _is_cut(path):
            pieces += [_piece({span: key}) for span, key in _ranges(path, name)]
        elif size >= SMALL_BYTES:
            pieces.append(_piece({Span(path, name): file_key(path)}))
        else:
            bundle[Span(path, name)] = file_key(path)
    return [*pieces, _piece(bundle)] if bundle else pieces


def _piece(spans: Mapping[Span, str]) -> Piece:
    """Keyed by names, places and contents; its size is in kB."""
    key = content_key([[span.name, span.within and span.within.first, key] for span, key in spans.items()])
    n_bytes = sum(span.within.end - span.within.start if span.within else span.path.stat().st_size for span in spans)
    return Piece(key, list(spans), max(n_bytes / 1000, 1))


def _is_cut(path: Path) -> bool:
    """In UTF-16 a byte 10 need not be a line end."""
    suffix, packed = suffixes_of(path.name)
    long = suffix in (".jsonl", ".ndjson") and not packed and path.stat().st_size > SPAN_BYTES
    return long and encoding_of(path) != "utf-16"


def _ranges(path: Path, name: str) -> Iterator[tuple[Span, str]]:
    """Ranges of whole lines, with a hash of each that also covers the file's encoding."""
    encoding = encoding_of(path)
    first, start = 1, 0
    with path.open("rb") as file:
        while (end := _line_end(file, start + SPAN_BYTES)) > start:
            digest = hashlib.blake2b(encoding.encode(), digest_size=16)
            n_lines, last = 0, b""
            file.seek(start)
            while block := file.read(min(BLOCK, end - file.tell())):
                digest.update(block)
                n_lines += _line_ends(last, block)
                last = block[-1:]
            yield Span(path, name, LineRange(start, end, first)), digest.hexdigest()
            first, start = first + n_lines, end


def _line_ends(last: bytes, block: bytes) -> int:
    """Line ends in a block behind the byte `last`, counted as readers of text count: \\n, \\r, and \\r\\n as one."""
    across = last == b"\r" and block.startswith(b"\n")
    return block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n") - across


def _line_end(file: BinaryIO, place: int) -> int:
    """The place behind the line that `place` is in; the end of the file if that comes first."""
    file.seek(place - 1)
    while (part := file.readline(BLOCK)) and not part.endswith(b"\n"):
        pass
    if part:
        return file.tell()
    return file.seek(0, SEEK_END)
