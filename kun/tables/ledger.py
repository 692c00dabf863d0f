"""The books of a stage: where each row went, and the proof that none was lost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from kun.errors import ConservationError
from kun.project import Project
from kun.schemas.datasets import DATASETS
from kun.schemas.rejects import REJECT
from kun.schemas.schema import conform
from kun.tables.shards import Shard, write_dataset, write_json

EXCERPT = 200

Counts = dict[str, Any]
"""Numbers under names, nested; counts of parts add up."""


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

    `kept` may carry more columns than the schema (`source` and `n_chars` give the counts by source). `extra` goes into
    the counts as it is (tokens, seconds, ...). Returns the counts.
    """
    ledger = pl.concat([no_rejects(), *rejected])
    counts = tally(rows_in, kept, ledger)
    return close_shards(project, stage, dataset, Shards([kept], [ledger], [counts]), **extra)


@dataclass(frozen=True)
class Shards:
    """What a stage made, shard by shard."""

    kept: Sequence[Shard]
    rejected: Sequence[Shard]
    """In the REJECT schema."""
    counts: Sequence[Counts]
    """By `tally`; together they count every row of the two."""


def close_shards(project: Project, stage: str, dataset: str, shards: Shards, **extra: Any) -> dict[str, Any]:
    """`close_stage` for a stage that never holds all its rows; shards of rows and rejects keep their order."""
    total = add_up(shards.counts)
    gone = total["dropped"] + total["failed"]
    if total["rows_in"] != total["kept"] + gone:
        raise ConservationError(
            f"{stage}: {total['rows_in']} rows came in, {total['kept']} kept + {gone} rejected went out; please report it"
        )
    write_dataset(project.dataset(dataset), shards.kept, DATASETS[dataset])
    write_dataset(project.rejects(stage), shards.rejected, REJECT)
    counts = {"stage": stage, **total, **extra}
    write_json(project.counts(stage), counts)
    return counts


def tally(rows_in: int, kept: pl.DataFrame, ledger: pl.DataFrame) -> Counts:
    """Rows in, kept, dropped, failed; rejects by reason; by source also the characters that stay."""
    return {
        "rows_in": rows_in,
        "kept": kept.height,
        "dropped": ledger.filter(pl.col("status") == "dropped").height,
        "failed": ledger.filter(pl.col("status") == "failed").height,
        "reasons": _times(ledger, "reason"),
        "by_source": _by_source(kept, ledger),
    }


def add_up(counts: Iterable[Mapping[str, Any]]) -> Counts:
    """The sum of nested counts, key by key; the most frequent reasons first, sources in order."""
    total: Counts = {"rows_in": 0, "kept": 0, "dropped": 0, "failed": 0, "reasons": {}, "by_source": {}}
    for one in counts:
        _add(total, one)
    by_source = dict(sorted(total["by_source"].items()))
    for source in by_source.values():
        source["rejected"] = _most_first(source["rejected"])
    return total | {"reasons": _most_first(total["reasons"]), "by_source": by_source}


def negative(counts: Mapping[str, Any]) -> Counts:
    """To be added where rows that were counted leave."""
    return {key: negative(value) if isinstance(value, Mapping) else -value for key, value in counts.items()}


def _add(total: Counts, one: Mapping[str, Any]) -> None:
    for key, value in one.items():
        if isinstance(value, Mapping):
            _add(total.setdefault(key, {}), value)
        else:
            total[key] = total.get(key, 0) + value


def _most_first(times: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(times.items(), key=lambda item: (-item[1], item[0])))


def _times(frame: pl.DataFrame, column: str) -> dict[str, int]:
    return _most_first(dict(frame.group_by(column).len().iter_rows()))


def _by_source(kept: pl.DataFrame, ledger: pl.DataFrame) -> dict[str, dict[str, Any]]:
    kept_by: dict[str, dict[str, int]] = {}
    if "source" in kept.columns:
        sizes = [pl.col("n_chars").sum().alias("chars")] if "n_chars" in kept.columns else []
        grouped = kept.group_by("source").agg(pl.len().alias("kept"), *sizes)
        kept_by = {row.pop("source"): row for row in grouped.to_dicts()}
    nothing = {"kept": 0} | ({"chars": 0} if "n_chars" in kept.columns else {})
    sources = sorted({*kept_by, *ledger["source"].unique()} - {""})
    return {
        source: kept_by.get(source, nothing) | {"rejected": _times(ledger.filter(pl.col("source") == source), "reason")}
        for source in sources
    }
