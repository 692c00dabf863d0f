"""Datasets on disk: a folder of parquet shards that appears whole or not at all."""

import errno
import glob
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from kun.errors import InputError
from kun.schemas.schema import Schema, conform

ROWS_PER_SHARD = 100_000  # DVC hashes files: tens of shards a dataset, not thousands (5.5 s a status for 100,000 files)

Shard = pl.DataFrame | Path
"""Rows of a dataset, or a parquet file that has them in its schema already."""


def place_beside(path: Path) -> Path:
    """Where to build what will be renamed to `path`; what killed processes left there goes, for DVC takes it for data."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if not _runs(leftover.name.split(".")[-2]):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """While writing to `folder`: OSError for a full disk, where polars, safetensors and torch have errors of their own."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if found := re.search(r"\(os error (\d+)\)", str(error)):
            number = int(found[1])
        elif "inline_container.cc" in str(error) and "Reader" not in str(error):  # torch.save, which hides the cause
            number = errno.ENOSPC
        else:
            raise
        raise OSError(number, os.strerror(number), str(folder)) from error


def write_text(path: Path, text: str) -> None:
    """Replace `path` in one step: a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = place_beside(path)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON in one step, keys in the order given."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_dataset(folder: Path, rows: pl.DataFrame | Iterable[Shard], schema: Schema) -> None:
    """Write `part-00000.parquet`, ...: frames in slices of ROWS_PER_SHARD, files as they are.

    Without rows there is one empty shard, so that the schema stays readable.
    """
    building = place_beside(folder)
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        places = (building / f"part-{number:05d}.parquet" for number in count())
        for piece in [rows] if isinstance(rows, pl.DataFrame) else rows:
            with disk_errors(folder):
                if isinstance(piece, Path):
                    shutil.copyfile(piece, next(places))  # no link: who edits the dataset must not edit the cached part
                else:
                    _write_slices(conform(piece, schema), places)
        if not any(building.iterdir()):
            pl.DataFrame(schema=schema).write_parquet(next(places))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(building, folder)  # noqa: PTH105
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_slices(frame: pl.DataFrame, places: Iterator[Path]) -> None:
    for start in range(0, frame.height, ROWS_PER_SHARD):
        frame.slice(start, ROWS_PER_SHARD).write_parquet(next(places), compression="zstd")


def shards(folder: Path) -> list[Path]:
    """The shards of a dataset in order; InputError when the stage that makes it has not run."""
    found = sorted(folder.glob("part-*.parquet"))
    if not found:
        raise InputError(f"{folder} holds no dataset; run `dvc repro` (or the stage that makes it) first")
    return found


def read_dataset(folder: Path, columns: Iterable[str] | None = None) -> pl.DataFrame:
    """All rows of a dataset, in shard order; InputError when a shard is spoilt."""
    with readable(folder):
        return pl.read_parquet(shards(folder), columns=list(columns) if columns else None)


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """While reading a dataset: InputError for a spoilt shard."""
    try:
        yield
    except pl.exceptions.ComputeError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder} cannot be read ({reason}); delete it and run `dvc repro` again") from None


def _runs(pid: str) -> bool:
    """False when no process has that number any more."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True  # somebody else's process, or not a name that we gave
    return True
