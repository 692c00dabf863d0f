"""Raw files of every known format, read as a stream: each record comes out once, as a Record or as a Reject."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kun.corpus.files import COMPRESSED, LineRange, suffixes_of
from kun.corpus.items import Item, Record, Reject, printable, quoted, repeated
from kun.corpus.json_files import read_json, read_jsonl
from kun.corpus.layouts import MISSING, PLAIN, Layout, at, text_in
from kun.corpus.mojibake import mend_mojibake
from kun.corpus.pages import read_html, read_markdown, read_passages, read_text
from kun.corpus.separated import read_csv, read_tsv
from kun.corpus.text import normalise

BATCH = 1024  # rows of a parquet file that are in memory at a time


def read(
    path: Path, name: str, layout: Layout, whole_txt: bool = False, within: LineRange | None = None
) -> Iterator[Record | Reject]:
    """All records of a file, by its suffix, or those `within` some lines of a jsonl file.

    `name` is how origins call the file, `whole_txt` makes a .txt file one record. A file that holds nothing at all gives
    one `empty_file`, one of an unknown kind one `unknown_format`.
    """
    suffix, _ = suffixes_of(path.name)
    if suffix not in _TABLES and suffix not in _PAGES:
        yield Reject(name, "unknown_format", suffix, path.name)
        return
    empty = True
    found = read_jsonl(path, name, within) if within else objects(path, name, whole_txt)
    for item in found:
        empty = False
        yield item if isinstance(item, Reject) else _record(*item, layout if suffix in _TABLES else PLAIN)
    if empty and not within:
        yield Reject(name, "empty_file", str(path.stat().st_size), path.name)


def has_fields(path: Path) -> bool:
    """Is this a format whose records have named fields?"""
    return suffixes_of(path.name)[0] in _TABLES


def objects(path: Path, name: str, whole_txt: bool = False) -> Iterator[Item]:
    """The records of a file of any known format with their origins."""
    suffix, packed = suffixes_of(path.name)
    reader = read_text if whole_txt and suffix == ".txt" else (_TABLES | _PAGES)[suffix]
    try:
        yield from reader(path, name)
    except (EOFError, OSError, zlib.error) as error:
        if not packed:
            raise
        yield Reject(name, "undecodable", f"{_PACKERS[packed]}: {error}", path.name)


def _record(origin: str, fields: dict[str, Any], layout: Layout) -> Record | Reject:
    def refused(reason: str, told: str) -> Reject:
        return Reject(origin, reason, told, quoted(fields))

    name, value = text_in(fields, layout)
    if value is MISSING:
        lacks = f"no {name}; " if name else ""
        return refused("missing_text", printable(f"{lacks}fields: {', '.join(map(str, fields))}"))
    if value is None:
        return refused("null_text", name)
    if not isinstance(value, str):
        return refused("wrong_type", f"{name}: {type(value).__name__}")
    text = normalise(mend_mojibake(value))  # in this order: what `normalise` removes may be part of a character
    if not text:
        return refused("empty_text", name)
    titles = (at(fields, title) for title in layout.title)
    return Record(origin, text, normalise(next((title for title in titles if isinstance(title, str)), "")))


def read_parquet(path: Path, name: str) -> Iterator[Item]:
    """Rows, a batch at a time."""
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            if twice := repeated(file.schema_arrow.names):
                yield Reject(name, "malformed_parquet", f"column {twice!r} stands twice", path.name)
                return
            for batch in file.iter_batches(BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{name}:{number}", row
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:  # the last: a time zone
        told = " ".join(str(error).split()) or type(error).__name__
        yield Reject(f"{name}:{number + 1}", "malformed_parquet", printable(told), path.name)


Reader = Callable[[Path, str], Iterator[Item]]

_TABLES: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}
_PAGES: dict[str, Reader] = {
    ".txt": read_passages,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".html": read_html,
    ".htm": read_html,
}
_PACKERS = dict(zip(COMPRESSED, ("gzip", "zstd"), strict=True))
