"""Pairs of texts that an earlier run compared, by the content of the texts: a corpus that grows compares its new ones alone."""

from pathlib import Path

import polars as pl

from kun.corpus.neardup import Verified
from kun.tables.shards import disk_errors, place_beside

PAIR = {"text": pl.String, "earlier": pl.String, "similarity": pl.Float64}
"""Keys of the two texts' letters, and their entry in `Verified`."""


def read_verified(file: Path, keys: pl.Series) -> Verified:
    """The pairs among rows with these (distinct) keys; none when there is no such file, or it is spoilt."""
    rows = pl.DataFrame({"key": keys}).with_row_index("row")
    try:
        pairs = pl.read_parquet(file, schema=PAIR)
    except (FileNotFoundError, pl.exceptions.PolarsError):
        return {}
    known = pairs.join(rows, left_on="text", right_on="key").join(
        rows, left_on="earlier", right_on="key", suffix="_earlier"
    )
    return dict(zip(known.select("row", "row_earlier").iter_rows(), known["similarity"].to_list(), strict=True))


def write_verified(file: Path, keys: pl.Series, verified: Verified) -> None:
    """Replace the file by the pairs of these rows."""
    rows, earlier = zip(*verified, strict=True) if verified else ((), ())
    table = pl.DataFrame(
        {"text": keys[list(rows)], "earlier": keys[list(earlier)], "similarity": list(verified.values())}, schema=PAIR
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    building = place_beside(file)
    with disk_errors(file.parent):
        table.write_parquet(building, compression="zstd")
        building.replace(file)
