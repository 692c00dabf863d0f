"""The books of a stage: where each row went, and the proof that none was lost."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from kun.errors import ConservationError
from kun.project import Project
from kun.schemas import DATASETS, REJECT, conform
from kun.tables.shards import write_dataset, write_json

EXCERPT = 200


def rejects(
    frame: pl.DataFrame, stage: str, status: str = "dropped", excerpt: str = "text", source: str = "source"
) -> pl.DataFrame:
    """Bring rows with `id`, `reason`, `value`, `threshold` into the REJECT schema.

    `excerpt` and `source` name the columns to quote; a missing source column gives "".
    """
    return conform(
        frame.with_columns(
            stage=pl.lit(stage),
            status=pl.lit(status),
            value=pl.col("value").cast(pl.String).str.head(EXCERPT),
            source=pl.col(source) if source in frame.columns else pl.lit(""),
            excerpt=pl.col(excerpt).cast(pl.String).str.head(EXCERPT),
        ),
        REJECT,
    )


def no_rejects() -> pl.DataFrame:
    """An empty ledger."""
    return pl.DataFrame(schema=REJECT)


def close_stage(
    project: Project,
    stage: str,
    dataset: str,
    rows_in: int,
    kept: pl.DataFrame,
    rejected: Iterable[pl.DataFrame],
    **extra: Any,
) -> dict[str, Any]:
    """Write the stage's dataset, rejects and counts; raises ConservationError when rows in != kept + rejected.

    `kept` may carry more columns than the schema (a `source` column gives the counts by source). `extra` goes into the
    counts as it is (tokens, seconds, ...). Returns the counts.
    """
    ledger = pl.concat([no_rejects(), *rejected])
    if rows_in != kept.height + ledger.height:
        raise ConservationError(
            f"{stage}: {rows_in} rows came in, {kept.height} kept + {ledger.height} rejected went out; please report it"
        )
    write_dataset(project.dataset(dataset), kept, DATASETS[dataset])
    write_dataset(project.rejects(stage), ledger, REJECT)
    counts = {
        "stage": stage,
        "rows_in": rows_in,
        "kept": kept.height,
        "dropped": ledger.filter(pl.col("status") == "dropped").height,
        "failed": ledger.filter(pl.col("status") == "failed").height,
        "reasons": _tally(ledger, "reason"),
        "by_source": _by_source(kept, ledger),
        **extra,
    }
    write_json(project.counts(stage), counts)
    return counts


def _tally(frame: pl.DataFrame, column: str) -> dict[str, int]:
    counted = frame.group_by(column).len().sort(["len", column], descending=[True, False])
    return dict(counted.select(column, "len").iter_rows())


def _by_source(kept: pl.DataFrame, ledger: pl.DataFrame) -> dict[str, dict[str, Any]]:
    kept_by = _tally(kept, "source") if "source" in kept.columns else {}
    sources = sorted({*kept_by, *ledger["source"].unique()} - {""})
    return {
        source: {
            "kept": kept_by.get(source, 0),
            "rejected": _tally(ledger.filter(pl.col("source") == source), "reason"),
        }
        for source in sources
    }
