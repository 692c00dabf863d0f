"""Finished rows of model work, outside every DVC output, so that no kill, `dvc repro` or `dvc exp run` loses them.

One folder per (stage, settings); in it segments: parquet files that are written whole and never changed. A row's key is a
hash of what its result depends on, so a key that is present is done, whoever computed it and whenever.
"""

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from kun import processes
from kun.errors import Busy
from kun.schemas.schema import Schema
from kun.tables.shards import write_text
from kun.work.segments import Segments

COMPACT_AT = 256  # segments, after which reading them costs more than joining them


def content_key(value: Any) -> str:
    """32 hex digits over a JSON value; mappings in key order."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Scratch:
    """Results of one stage under one set of settings."""

    def __init__(self, root: Path, stage: str, settings: Mapping[str, Any], schema: Schema) -> None:
        """`settings` is everything but the row that a result depends on; `schema` has a `key` column and the results."""
        self.folder = root / "work" / stage / content_key(dict(settings))[:16]
        self.schema = {"key": pl.String} | schema
        self.folder.mkdir(parents=True, exist_ok=True)
        self._settings = dict(settings)
        self._segments = Segments(self.folder, self.schema)

    def read(self) -> pl.DataFrame:
        """Every finished row, one per key."""
        segments = self._segments.files()
        if not segments:
            return pl.DataFrame(schema=self.schema)
        return pl.read_parquet(segments).unique("key", keep="first", maintain_order=True)

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Every finished row, a segment at a time; a key may come more than once."""
        for segment in self._segments.files():
            yield pl.read_parquet(segment)

    def keys(self) -> set[str]:
        """Of the finished rows."""
        segments = self._segments.files()
        return set(pl.read_parquet(segments, columns=["key"])["key"]) if segments else set()

    def append(self, rows: pl.DataFrame) -> None:
        """Add finished rows as a segment that appears whole, safe on disk before it has a name."""
        self._segments.add(rows.select([pl.col(name).cast(dtype) for name, dtype in self.schema.items()]))

    def compact(self) -> None:
        """Join many segments into one. A kill in between leaves rows twice, which `read` and keys make harmless."""
        segments = self._segments.files()
        if len(segments) >= COMPACT_AT:
            self.append(self.read())
            for segment in segments:
                segment.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the only right to plan this work. Another process that has it is waited for: its results are then at hand.

        The lock dies with its holder. A stage can outlive a killed `dvc repro`, and two experiments of a queue may want the
        same rows. Under `accelerate launch` nobody waits, Busy is raised: the other ranks would give up after half an hour.
        """
        with (self.folder / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._wait(file)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            self._note_settings()
            yield

    @contextmanager
    def helping(self) -> Iterator[None]:
        """Held by each other rank while it takes batches: released when it has finished or died, on whatever machine."""
        with (self.folder / "helpers").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def has_helpers(self) -> bool:
        """Whether another rank still takes batches."""
        with (self.folder / "helpers").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _wait(self, lock: TextIO) -> None:
        lock.seek(0)
        busy = f"{self.folder.parent.name}: process {lock.read().strip() or 'unknown'} is at the same work"
        if processes.world_size() > 1:
            raise Busy(f"{busy}; wait for it or stop it, then run again")
        print(f"{busy}; waiting for its results", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)

    def _note_settings(self) -> None:
        """Leave a note of what the folder's name stands for. People read it, no code does."""
        file, text = self.folder / "settings.json", json.dumps(self._settings, ensure_ascii=False, indent=2)
        if file.is_file():
            try:
                if json.loads(file.read_bytes()) == json.loads(text):
                    return
            except ValueError:
                pass
            print(f"{file} is spoilt; written anew", file=sys.stderr)
        write_text(file, text)
