"""Texts that come again, in whatever shard: the first stays."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from kun.corpus.privacy import mask_private
from kun.tables.ledger import EXCERPT, Shards, negative, rejects, tally
from kun.tables.shards import Shard


def without_repeats(shards: Shards, stage: str) -> Shards:
    """Shards in which no id comes twice; what came before is named in the ledger of the stage, `duplicate_id`.

    Holds 16 bytes a row, and the rows that repeat. Shards without any stay the files that they are.
    """
    tables = [Path(table) for table in shards.kept if isinstance(table, Path)]
    repeats = _repeats(tables)
    if repeats.is_empty():
        return shards
    kept: list[Shard] = list(tables)
    ledgers, counts = list(shards.rejected), list(shards.counts)
    for own in repeats.partition_by("table", maintain_order=True):
        number = own["table"][0]
        rows = pl.read_parquet(tables[number]).with_row_index("row")
        gone = rows.join(own.select("row", "first_origin"), on="row", maintain_order="left")
        told = gone.with_columns(id="origin", reason=pl.lit("duplicate_id"), value="first_origin", threshold=pl.lit(""))
        ledger = rejects(told.with_columns(text=mask_private(told["text"].str.head(EXCERPT))["masked"]), stage)
        stays = rows.join(own, on="row", how="anti", maintain_order="left").drop("row")
        kept[number] = stays
        ledgers.append(ledger)
        counts += [negative(tally(0, rows, ledger.clear())), tally(0, stays, ledger)]
    return replace(shards, kept=kept, rejected=ledgers, counts=counts)


def _repeats(tables: Sequence[Path]) -> pl.DataFrame:
    """Rows (table, row, first_origin) whose id an earlier row has."""
    short = pl.col("id").str.head(16).str.to_integer(base=16, dtype=pl.UInt64)
    keys = pl.concat(
        [
            pl.read_parquet(path, columns=["id"]).select(
                short.alias("short"), table=pl.lit(number, pl.UInt32), row=pl.int_range(pl.len(), dtype=pl.UInt32)
            )
            for number, path in enumerate(tables)
        ]
    )
    again = keys.filter(pl.col("short").is_duplicated())
    if again.is_empty():
        return pl.DataFrame(schema={"table": pl.UInt32, "row": pl.UInt32, "first_origin": pl.String})
    named = pl.concat(
        [_named(tables[own["table"][0]], own) for own in again.partition_by("table", maintain_order=True)]
    )
    # The whole id decides: among 10^9 texts some halves of ids agree by chance.
    marked = named.with_columns(first_origin=pl.col("origin").first().over("id"), new=pl.col("id").is_first_distinct())
    return marked.filter(~pl.col("new")).select("table", "row", "first_origin")


def _named(path: Path, own: pl.DataFrame) -> pl.DataFrame:
    rows = pl.read_parquet(path, columns=["id", "origin"])[own["row"]]
    return pl.concat([own, rows], how="horizontal")
