"""Tables of any size: columns of numbers and a few chosen rows come into memory, texts never all at once."""

from collections.abc import Iterable, Sequence

import polars as pl

from kun.project import Project
from kun.schemas.rejects import REJECT
from kun.tables.shards import readable, shards


def scan(project: Project, dataset: str) -> pl.LazyFrame | None:
    """A dataset, not yet read; None when it was never made."""
    folder = project.dataset(dataset)
    return pl.scan_parquet(shards(folder)) if folder.is_dir() else None


def ledgers(project: Project) -> pl.LazyFrame:
    """The rejects of all stages of the main line, not yet read."""
    parts = sorted((project.root / "data" / "rejects").glob("*/part-*.parquet"))
    return pl.scan_parquet(parts) if parts else pl.LazyFrame(schema=REJECT)


def collected(project: Project, dataset: str, *columns: str | pl.Expr) -> pl.DataFrame | None:
    """Some columns of a dataset, or what follows from them row by row; None when it was never made."""
    found = scan(project, dataset)
    if found is None:
        return None
    with readable(project.dataset(dataset)):
        return found.select(columns).collect(engine="streaming")


def rows_at(frame: pl.LazyFrame, places: Iterable[int]) -> pl.DataFrame:
    """Whole rows at these places (from 0), in the order of the table."""
    wanted = pl.Series(sorted(set(places)), dtype=pl.UInt32)
    numbered = frame.with_row_index("place").filter(pl.col("place").is_in(wanted.implode()))
    return numbered.collect(engine="streaming").sort("place").drop("place")


def rows_of(frame: pl.LazyFrame, ids: Sequence[str]) -> dict[str, dict[str, object]]:
    """Id -> the row, for these ids as far as they are there."""
    wanted = pl.Series(ids, dtype=pl.String)
    found = frame.filter(pl.col("id").is_in(wanted.implode())).collect(engine="streaming")
    return {row["id"]: row for row in found.iter_rows(named=True)}


def spread(count: int, most: int) -> list[int]:
    """At most `most` places in a table of `count` rows, evenly over it."""
    return list(range(count)) if count <= most else [place * count // most for place in range(most)]
