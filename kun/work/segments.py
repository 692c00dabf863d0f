"""Finished rows on disk: parquet files that are written whole, are never changed, and bear the hash of their bytes in the name.

A file that a disk has spoilt would give wrong rows without a word, or make polars panic. So each is held against its name
before it is read, and one that fails is moved aside: its rows count as missing, and are computed again.
"""

import hashlib
import io
import os
import re
import sys
import uuid
from pathlib import Path

import polars as pl

from kun.schemas.schema import Schema

_NAME = re.compile(r"seg-[0-9a-f]{12}-(?P<hash>[0-9a-f]{32})\.parquet")
"""Segments were once named by 32 random digits alone; those are still read, and found spoilt only when polars fails."""


class Segments:
    """The segments of one folder, each looked at once."""

    def __init__(self, folder: Path, schema: Schema) -> None:
        """`schema` has all columns of a segment."""
        self._folder, self._schema = folder, schema
        self._sound: set[Path] = set()

    def files(self) -> list[Path]:
        """Whole segments, in the order of their names; one that is spoilt is moved aside, with a line on stderr."""
        found = sorted(self._folder.glob("seg-*.parquet"))
        self._sound = {path for path in found if path in self._sound or self._is_whole(path)}
        return [path for path in found if path in self._sound]

    def add(self, rows: pl.DataFrame) -> None:
        """Write a segment that appears whole, safe on disk before it has a name."""
        buffer = io.BytesIO()
        rows.write_parquet(buffer)
        content = buffer.getbuffer()
        # Random digits too: two segments of equal rows are two files, of which one may be deleted.
        name = f"seg-{uuid.uuid4().hex[:12]}-{_hash(content)}.parquet"
        temporary = self._folder / f".{uuid.uuid4().hex}.tmp"
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._folder / name)  # noqa: PTH105
        finally:
            temporary.unlink(missing_ok=True)

    def _is_whole(self, path: Path) -> bool:
        """Whether a segment holds what was written; if not, it is moved aside."""
        named = _NAME.fullmatch(path.name)
        if _hash(path.read_bytes()) == named["hash"] if named else self._opens(path):
            return True
        aside = path.with_name(f"spoilt-{path.name}")
        print(f"{path} is spoilt; moved to {aside.name}, and its rows are computed again", file=sys.stderr)
        path.replace(aside)
        return False

    def _opens(self, path: Path) -> bool:
        try:
            return pl.read_parquet(path).schema == self._schema
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return False


def _hash(content: bytes | memoryview) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
