"""Near-duplicate clusters: what was found to be the same as a row that stayed."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from kun.lazily import rows_at, rows_of, scan
from kun.project import Project
from kun.report.records import cut_off
from kun.tables.shards import shards

CLUSTERS = 20
MEMBERS = 5
TEXT = 200  # characters, as in the ledger
KEPT = r"(?:same as|with) (\S+)$"  # what the dedup stage writes: "same as <id>", "jaccard 0.860 with <id>"
SIMILARITY = r"^jaccard ([0-9.]+) "


@dataclass(frozen=True)
class Cluster:
    """A row that stayed and those that left for it."""

    kept: str
    text: str | None
    """Of the kept row, its beginning; None when it is not at hand."""
    source: str | None
    size: int
    """Rows that left."""
    sources: int
    members: list[dict[str, Any]]
    """At most MEMBERS of them, as in the REJECT schema, with `similarity` (Jaccard, 1 where the rows are exact copies)."""


@dataclass(frozen=True)
class Duplicates:
    """What the dedup stage found."""

    rows: int
    clusters: int
    largest: list[Cluster]
    similarity: pl.Series
    """Jaccard of each near-duplicate with the row that stayed."""


def duplicates(project: Project) -> Duplicates | None:
    """None when nothing was a duplicate."""
    if not project.rejects("dedup").is_dir():
        return None
    ledger = pl.scan_parquet(shards(project.rejects("dedup")))
    links = (
        ledger.with_row_index("place")
        .select("place", "source", kept=pl.col("value").str.extract(KEPT), similarity=_similarity())
        .filter(pl.col("kept").is_not_null())
        .collect(engine="streaming")
    )
    if links.is_empty():
        return None
    grouped = links.group_by("kept").agg(
        size=pl.len(), sources=pl.col("source").n_unique(), places=pl.col("place").sort().head(MEMBERS)
    )
    top = grouped.sort(["size", "kept"], descending=[True, False]).head(CLUSTERS)
    return Duplicates(links.height, grouped.height, _told(project, ledger, top), links["similarity"].drop_nulls())


def _told(project: Project, ledger: pl.LazyFrame, top: pl.DataFrame) -> list[Cluster]:
    members = rows_at(ledger, top["places"].explode().to_list()).with_columns(
        kept=pl.col("value").str.extract(KEPT), similarity=_similarity().fill_null(1.0)
    )
    kept = _kept_rows(project, top["kept"].to_list())
    found = []
    for row in top.iter_rows(named=True):
        text = kept.get(row["kept"], {})
        own = members.filter(pl.col("kept") == row["kept"]).to_dicts()
        cluster = Cluster(row["kept"], text.get("text"), text.get("source"), row["size"], row["sources"], own)
        found.append(cluster)
    return found


def _kept_rows(project: Project, ids: list[str]) -> dict[str, dict[str, Any]]:
    found = scan(project, "deduped")
    if found is None:
        return {}
    rows = rows_of(found.select("id", "source", pl.col("text").str.head(TEXT + 1)), ids)
    return {id: row | {"text": cut_off(str(row["text"]), TEXT)} for id, row in rows.items()}


def _similarity() -> pl.Expr:
    return pl.col("value").str.extract(SIMILARITY).cast(pl.Float64, strict=False)
