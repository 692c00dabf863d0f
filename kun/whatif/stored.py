"""The stored tables of a project, or a fair sample of them."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from kun.errors import InputError
from kun.project import Project
from kun.schemas.rejects import REJECT
from kun.tables.shards import readable, shards

HEX_DIGITS = 13
"""Leading digits of an id that say whether a row is in the sample: 52 bits, what a float holds exactly."""


class TooMany(Exception):
    """More rows than can be looked at in a few seconds; answered by a sample of all tables."""

    def __init__(self, share: float) -> None:
        super().__init__(share)
        self.share = share


@dataclass(frozen=True)
class Stored:
    """What the last run has left; ids are hashes, so those below a bound are a fair sample, the same in every table."""

    project: Project
    share: float = 1.0
    exact: bool = False
    """Look at every row, however long it takes."""

    def scan(self, dataset: str) -> pl.LazyFrame:
        """A dataset; InputError when it was never made."""
        return self._sample(pl.scan_parquet(shards(self.project.dataset(dataset))))

    def read(self, dataset: str, columns: Iterable[str] | None = None) -> pl.DataFrame:
        """Rows of a dataset, in shard order."""
        table = self.scan(dataset)
        with readable(self.project.dataset(dataset)):
            return (table.select(list(columns)) if columns else table).collect()

    def folder(self, path: str) -> pl.DataFrame:
        """Rows of a dataset by its folder: `data/glan/pairs`."""
        with readable(self.project.root / path):
            return self._sample(pl.scan_parquet(shards(self.project.root / path))).collect()

    def ledger(self, stage: str) -> pl.LazyFrame:
        """The rejects of a stage; empty when it has not run."""
        folder = self.project.rejects(stage)
        return self._sample(pl.scan_parquet(shards(folder))) if folder.is_dir() else pl.LazyFrame(schema=REJECT)

    def rows(self, dataset: str) -> int:
        """Of the whole dataset, sample or not."""
        return int(pl.scan_parquet(shards(self.project.dataset(dataset))).select(pl.len()).collect().item())

    def scaled(self, amount: int) -> int:
        """A number of rows of all, as it is for the sample; 0 stays 0, which means no limit."""
        return amount if self.share == 1 or not amount else max(1, round(amount * self.share))

    def at_most(self, rows: int, limit: int) -> None:
        """TooMany when a costly look at `rows` would take too long."""
        if rows > limit and not self.exact:
            raise TooMany(self.share * limit / rows)

    def _sample(self, table: pl.LazyFrame) -> pl.LazyFrame:
        if self.share >= 1:
            return table
        return table.filter(pl.col("id") < f"{int(self.share * 16**HEX_DIGITS):0{HEX_DIGITS}x}")


def need(project: Project, datasets: Iterable[str]) -> None:
    """InputError unless each of them was made."""
    missing = [name for name in datasets if not project.dataset(name).is_dir()]
    if missing:
        raise InputError(
            f"data/{missing[0]} is not there; `dvc repro` makes it, or `dvc pull data/{missing[0]}` brings it from a remote"
        )
