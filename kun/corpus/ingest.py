"""Raw files -> data/ingested: one normalised text a row, each with its id, source and origin."""

import heapq
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from kun.corpus.files import encoding_of, raw_files, source_of
from kun.corpus.first_seen import without_repeats
from kun.corpus.items import Record, Reject
from kun.corpus.language import languages
from kun.corpus.layouts import Layout, layout_of
from kun.corpus.privacy import mask_private
from kun.corpus.readers import read
from kun.corpus.spans import Span, pieces_of
from kun.corpus.split import in_pieces
from kun.corpus.text import text_id, unit_hash
from kun.errors import InputError
from kun.params import Executor, Ingest
from kun.project import Project
from kun.schemas.datasets import DATASETS
from kun.schemas.schema import conform
from kun.tables.ledger import Counts, add_up, close_shards, rejects, tally
from kun.tables.sources import warn_unknown
from kun.work.parts import ROWS, TEXT_BYTES, Part, PartWriter, code_key, compute_parts, shards_of

STAGE = "ingest"
ROW = ["id", "text", "source", "origin", "title"]
REJECTED = ["id", "reason", "value", "threshold", "text", "source"]


def ingest(project: Project, params: Ingest, executor: Executor = "processes") -> dict[str, Any]:
    """Read every file below `params.path`; returns the counts.

    A text that was seen before is dropped as `duplicate_id` and keeps its origin as its id in the ledger, because the
    text id is the kept row's. Raises InputError when the folder is missing or empty or no text is left.
    """
    folder = (project.root / params.path).resolve()
    files = {_name(path, folder): path for path in _files(folder)}
    pieces = pieces_of(files, cut_long=not params.limit_per_file)
    settings = {name: value for name, value in asdict(params).items() if name not in ("path", "licences")}
    settings["code"] = code_key()
    parts = compute_parts(project.scratch, STAGE, settings, pieces, partial(_read, params), executor, "kB")
    encodings = {name: encoding for part in parts for name, encoding in part.facts()["encodings"].items()}
    if not any(part.tables("kept") for part in parts):
        raise InputError(f"{folder} gave no text: {_common_fault(parts)}")
    for key in ("layouts", "licences"):
        warn_unknown(f"ingest.{key}", getattr(params, key), map(source_of, files))
    shards = without_repeats(shards_of(parts), STAGE)
    return close_shards(project, STAGE, "ingested", shards, encodings=encodings)


def _read(params: Ingest, spans: list[Span], out: PartWriter) -> None:
    """Tables `kept` and `rejects`, a few when there is much."""
    usual = Layout(params.text_fields, params.title_fields)
    table = _Table(out)
    for span in spans:
        source = source_of(span.name)
        layout = layout_of(source, params.layouts, usual)
        found = read(span.path, span.name, layout, params.txt == "file", span.within)
        for item in _sampled(found, params):
            for piece in in_pieces(item, params.split) if isinstance(item, Record) else [item]:
                table.add(piece, source)
    table.close()
    told = {span.name: _encoding(span.path) for span in spans}
    out.facts["encodings"] = {name: encoding for name, encoding in told.items() if encoding not in ("", "utf-8")}


class _Table:
    """Rows on their way to disk: those in memory are bounded by ROWS and TEXT_BYTES."""

    def __init__(self, out: PartWriter) -> None:
        self._out = out
        self._kept: list[tuple[str, ...]] = []
        self._rejected: list[tuple[str, ...]] = []
        self._size = self._items = 0
        self._counts: list[Counts] = []

    def add(self, item: Record | Reject, source: str) -> None:
        """Take an item of a source."""
        self._items += 1
        if isinstance(item, Record):
            self._kept.append((text_id(item.text), item.text, source, item.origin, item.title))
            self._size += 3 * len(item.text)  # bytes of Chinese in UTF-8
        else:
            self._rejected.append((item.origin, item.reason, item.value, "", item.excerpt[:200], source))
        if len(self._kept) + len(self._rejected) >= ROWS or self._size >= TEXT_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the counts."""
        self._flush()
        self._out.facts["counts"] = add_up(self._counts)

    def _flush(self) -> None:
        rows = pl.DataFrame(self._kept, dict.fromkeys(ROW, pl.String), orient="row")
        n_chars = pl.col("text").str.len_chars().cast(pl.Int64)
        kept = rows.with_columns(n_chars=n_chars, lang=languages(rows["text"].to_list()))
        refused = pl.DataFrame(self._rejected, dict.fromkeys(REJECTED, pl.String), orient="row")
        ledger = rejects(refused.with_columns(text=mask_private(refused["text"])["masked"]), STAGE)
        self._out.write("kept", conform(kept, DATASETS["ingested"]))
        self._out.write("rejects", ledger)
        self._counts.append(tally(self._items, kept, ledger))
        self._kept, self._rejected, self._size, self._items = [], [], 0, 0


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


def _name(path: Path, folder: Path) -> str:
    """How origins call a file; InputError for a name that UTF-8 cannot hold, as archives packed elsewhere leave them."""
    name = path.relative_to(folder).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{folder} holds a file whose name is not in UTF-8: {name!a}; rename it") from None
    return name


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


def _common_fault(parts: Iterable[Part]) -> str:
    ledger = pl.read_parquet([table for part in parts for table in part.tables("rejects")])
    top = ledger["reason"].value_counts(sort=True).row(0)
    return (
        f"all {ledger.height} records were rejected, most as `{top[0]}` ({top[1]}), first {ledger['id'][0]}; "
        "check ingest.path and ingest.text_fields"
    )
