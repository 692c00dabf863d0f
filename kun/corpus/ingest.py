"""Raw files -> data/ingested: one normalised text a row, each with its id, source and origin."""

import heapq
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from kun.corpus.files import encoding_of, raw_files, source_of
from kun.corpus.items import Record, Reject
from kun.corpus.layouts import Layout, layout_of
from kun.corpus.readers import read
from kun.corpus.text import language, text_id, unit_hash
from kun.errors import InputError
from kun.params import Ingest
from kun.project import Project
from kun.tables.ledger import close_stage, rejects

STAGE = "ingest"


def ingest(project: Project, params: Ingest) -> dict[str, Any]:
    """Read every file below `params.path`; returns the counts.

    A text that was seen before is dropped as `duplicate_id` and keeps its origin as its id in the ledger, because the
    text id is the kept row's. Raises InputError when the folder is missing or empty or no text is left.
    """
    folder = project.root / params.path
    usual = Layout(params.text_fields, params.title_fields)
    kept: list[dict[str, str]] = []
    rejected: list[dict[str, str]] = []
    first_seen: dict[str, str] = {}
    files = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for name, path in files.items():
        source = source_of(name)
        layout = layout_of(source, params.layouts, usual)
        for item in _sampled(read(path, name, layout, params.txt == "file"), params):
            row = _row(item, source, first_seen)
            (rejected if "reason" in row else kept).append(row)
    if not kept:
        raise InputError(f"{folder} gave no text: all {len(rejected)} records were rejected, {_common_fault(rejected)}")
    frame = pl.DataFrame(kept).with_columns(lang=language(pl.col("text")), n_chars=pl.col("text").str.len_chars())
    encodings = {name: encoding for name, path in files.items() if (encoding := _encoding(path)) not in ("", "utf-8")}
    rows_in = len(kept) + len(rejected)
    return close_stage(project, STAGE, "ingested", rows_in, frame, [_ledger(rejected)], encodings=encodings)


def _encoding(path: Path) -> str:
    """That a text file was read in; "" when it has none, or is too broken to tell (the ledger has it then)."""
    try:
        return "" if path.suffix == ".parquet" else encoding_of(path)
    except (EOFError, OSError, zlib.error):
        return ""


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; set ingest.path in params.yaml to the folder of your raw files")
    if found := raw_files(folder):
        return found
    raise InputError(f"{folder} holds no files; put .jsonl, .csv, .parquet, .txt or .html files there")


def _sampled(items: Iterable[Record | Reject], params: Ingest) -> Iterator[Record | Reject]:
    """At most `limit_per_file` records in file order, the others as rejects.

    Chosen by hash of seed and origin, in one pass that holds only the sample.
    """
    if not params.limit_per_file:
        yield from items
        return
    sample: list[tuple[float, int, Record]] = []  # a heap, the record that goes next on top
    for number, item in enumerate(items):
        if isinstance(item, Reject):
            yield item
            continue
        entry = (-unit_hash(params.seed, item.origin), number, item)
        if len(sample) < params.limit_per_file:
            heapq.heappush(sample, entry)
        else:
            _, _, out = heapq.heappushpop(sample, entry)
            yield Reject(out.origin, "limit_per_file", str(params.limit_per_file), out.text)
    for _, _, record in sorted(sample, key=lambda entry: entry[1]):
        yield record


def _row(item: Record | Reject, source: str, first_seen: dict[str, str]) -> dict[str, str]:
    """A row of data/ingested, or with a `reason` one of the ledger; `first_seen` maps each id to where it came from."""
    if isinstance(item, Record):
        key = text_id(item.text)
        if key not in first_seen:
            first_seen[key] = item.origin
            return {"id": key, "text": item.text, "source": source, "origin": item.origin, "title": item.title}
        item = Reject(item.origin, "duplicate_id", first_seen[key], item.text)
    return {
        "id": item.origin,
        "reason": item.reason,
        "value": item.value,
        "threshold": "",
        "text": item.excerpt[:200],
        "source": source,
    }


def _ledger(rejected: list[dict[str, str]]) -> pl.DataFrame:
    columns = ["id", "reason", "value", "threshold", "text", "source"]
    return rejects(pl.DataFrame(rejected, schema=dict.fromkeys(columns, pl.String)), STAGE)


def _common_fault(rejected: list[dict[str, str]]) -> str:
    top = _ledger(rejected)["reason"].value_counts(sort=True).row(0)
    return f"most as `{top[0]}` ({top[1]}), first {rejected[0]['id']}; check ingest.path and ingest.text_fields"
