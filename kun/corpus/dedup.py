"""data/cleaned -> data/deduped: across all sources, the first of equal or nearly equal texts stays."""

from typing import Any

import polars as pl

from kun.corpus.minhash import near_duplicates
from kun.corpus.text import bare_expr
from kun.params import Dedup
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset

STAGE = "dedup"


def dedup(project: Project, params: Dedup) -> dict[str, Any]:
    """Drop texts that agree in every letter and digit, then those whose shingles agree; returns the counts."""
    texts = read_dataset(project.dataset("cleaned"))
    distinct, equal = _without_equal(texts)
    kept, similar = _without_similar(distinct, params)
    ledger = [rejects(dropped, STAGE) for dropped in (equal, similar)]
    return close_stage(project, STAGE, "deduped", texts.height, kept, ledger)


def _without_equal(texts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows whose `bare` text is new, and the others with their reason; a text without letters stands for itself."""
    letters = bare_expr(pl.col("text"))
    key = pl.when(letters == "").then(pl.col("text")).otherwise(letters)
    marked = texts.with_columns(key=key).with_columns(
        twin=pl.col("id").first().over("key"), new=pl.col("key").is_first_distinct()
    )
    dropped = marked.filter(~pl.col("new")).with_columns(
        reason=pl.lit("exact_duplicate"), value=pl.format("same as {}", "twin"), threshold=pl.lit("letters and digits")
    )
    return marked.filter("new").select(texts.columns), dropped


def _without_similar(texts: pl.DataFrame, params: Dedup) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that resemble no earlier kept row, and the others with their reason."""
    found = near_duplicates(texts["text"].to_list(), params.shingle, params.permutations, params.threshold, params.seed)
    rows = [row for row, _, _ in found]
    ids = texts["id"]
    dropped = texts[rows].with_columns(
        reason=pl.lit("near_duplicate"),
        value=pl.Series([f"jaccard {score:.3f} with {ids[twin]}" for _, twin, score in found], dtype=pl.String),
        threshold=pl.lit(f"< {params.threshold}"),
    )
    is_dropped = pl.int_range(pl.len()).is_in(pl.Series(rows, dtype=pl.Int64).implode())
    return texts.filter(~is_dropped), dropped
