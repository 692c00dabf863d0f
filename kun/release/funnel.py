"""Where the rows went: the counts of every stage as tables."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from kun.project import Project
from kun.release.facts import read_json
from kun.release.files import count, share
from kun.terminal import text_table

STAGES = (
    "ingest",
    "clean",
    "dedup",
    "decontaminate",
    "corpus",
    "label",
    "instructions",
    "judge",
    "polish",
    "pairs",
    "mix",
    "select",
)
"""Stages that rows pass through, in order."""

FUNNEL: dict[str, type[pl.DataType]] = {
    "stage": pl.String,
    "rows_in": pl.Int64,
    "kept": pl.Int64,
    "dropped": pl.Int64,
    "failed": pl.Int64,
    "share": pl.Float64,  # kept / rows_in; null when nothing came in
}

Counts = list[dict[str, Any]]


def read_counts(project: Project) -> Counts:
    """reports/counts/<stage>.json of every stage that has run, in stage order."""
    found = (read_json(project.counts(stage)) for stage in STAGES)
    return [counts for counts in found if counts is not None]


def funnel_frame(counts: Counts) -> pl.DataFrame:
    """One row a stage, in the FUNNEL schema."""
    rows = [
        {name: one[name] for name in ("stage", "rows_in", "kept", "dropped", "failed")}
        | {"share": one["kept"] / one["rows_in"] if one["rows_in"] else None}
        for one in counts
    ]
    return pl.DataFrame(rows, schema=FUNNEL)


def source_frame(counts: Counts) -> pl.DataFrame:
    """One row a source, one column of kept rows a stage; null where a stage did not record the sources of its rows."""
    sources = sorted({source for one in counts for source in one["by_source"]})
    return pl.DataFrame(
        {"source": sources} | {one["stage"]: _kept_by_source(one, sources) for one in counts},
        schema={"source": pl.String} | {one["stage"]: pl.Int64 for one in counts},
    )


def _kept_by_source(counts: dict[str, Any], sources: Sequence[str]) -> Sequence[int | None]:
    kept = [counts["by_source"].get(source, {}).get("kept", 0) for source in sources]
    # A stage that keeps rows without a source column lists its sources from the rejects alone, all with 0 kept.
    return kept if sum(kept) == counts["kept"] else [None] * len(sources)


def funnel_text(funnel: pl.DataFrame, by_source: pl.DataFrame | None = None) -> str:
    """Both tables for the terminal, without a line end."""
    rows = [
        [stage, *map(count, (rows_in, kept, dropped, failed)), share(part)]
        for stage, rows_in, kept, dropped, failed, part in funnel.iter_rows()
    ]
    text = text_table(funnel.columns, rows)
    if by_source is None or by_source.is_empty():
        return text
    source_rows = [[source, *map(count, kept)] for source, *kept in by_source.iter_rows()]
    return f"{text}\n\n{text_table(by_source.columns, source_rows)}"
