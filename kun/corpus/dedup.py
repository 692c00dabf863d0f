"""data/cleaned -> data/deduped: across all sources, the first of equal or nearly equal texts stays."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from kun.corpus.minhash import Signatures, signatures_of
from kun.corpus.neardup import Alike, near_duplicates, without_twins
from kun.corpus.text import bare_expr, text_id
from kun.params import Dedup
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.scratch import Scratch

STAGE = "dedup"
VERSION = 1  # part of the signatures' key: raise it when they change


def dedup(project: Project, params: Dedup) -> dict[str, Any]:
    """Drop texts that agree in every letter and digit, then those whose shingles agree; returns the counts."""
    texts = read_dataset(project.dataset("cleaned"))
    ranked = texts.with_columns(place=pl.int_range(pl.len()), letters=_letters(), rank=_rank(params.prefer))
    distinct, equal = _without_equal(ranked.sort("rank", "place"))
    letters = distinct["letters"].to_list()
    signatures, n_signed = _signatures(project, letters, params)
    twins = near_duplicates(letters, signatures, Alike(params.shingle, params.threshold, params.short_chars))
    kept, similar = without_twins(distinct, twins, params.threshold)
    ledger = [rejects(dropped.sort("place"), STAGE) for dropped in (equal, similar)]
    return close_stage(project, STAGE, "deduped", texts.height, kept.sort("place"), ledger, signed=n_signed)


def _letters() -> pl.Expr:
    """What is compared: letters and digits; a text without any stands for itself."""
    letters = bare_expr(pl.col("text"))
    return pl.when(letters == "").then(pl.col("text")).otherwise(letters)


def _rank(prefer: Sequence[str]) -> pl.Expr:
    """Place of the source, or of its first folder, among the preferred ones; all others behind them."""
    places = {source: place for place, source in enumerate(prefer)}
    folder = pl.col("source").str.split("/").list.first()
    own, parent = (
        name.replace_strict(places, default=len(places), return_dtype=pl.Int64) for name in (pl.col("source"), folder)
    )
    return pl.min_horizontal(own, parent)


def _without_equal(texts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows whose letters are new, and the others with their reason."""
    marked = texts.with_columns(twin=pl.col("id").first().over("letters"), new=pl.col("letters").is_first_distinct())
    dropped = marked.filter(~pl.col("new")).with_columns(
        reason=pl.lit("exact_duplicate"), value=pl.format("same as {}", "twin"), threshold=pl.lit("letters and digits")
    )
    return marked.filter("new").select(texts.columns), dropped


def _signatures(project: Project, letters: list[str], params: Dedup) -> tuple[Signatures, int]:
    """Signatures of all texts, and how many of them were not in scratch yet."""
    identity = {"version": VERSION, "shingle": params.shingle, "bins": params.bins, "seed": params.seed}
    signature = pl.Array(pl.UInt32, params.bins)
    scratch = Scratch(project.scratch, "signatures", identity, {"signature": signature})
    wanted = pl.DataFrame({"key": map(text_id, letters), "letters": letters}, {"key": pl.String, "letters": pl.String})
    known = scratch.read()
    missing = wanted.join(known, on="key", how="anti")
    made = signatures_of(missing["letters"].to_list(), params.shingle, params.bins, params.seed)
    new = missing.select("key", signature=pl.Series(made, dtype=signature))
    if new.height:
        scratch.append(new)
    found = wanted.select("key").join(pl.concat([known, new]), on="key", how="left", maintain_order="left")
    return found["signature"].to_numpy().reshape(-1, params.bins), new.height
