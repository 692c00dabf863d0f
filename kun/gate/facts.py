"""Facts about a whole dataset: what no single shard can tell."""

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from kun.errors import InputError
from kun.gate.engine import Example
from kun.gate.suite import Suite
from kun.project import Project
from kun.schemas.datasets import DATASETS
from kun.tables.shards import shards

_MAIN_TEXT = ("output", "answer", "question", "instruction", "text")
_LIMITS = ("limit", "limit_per_file")
_DISTINCT = {"losses": {"templates": "template", "scorers": "scorer"}}
_SHARES = {
    "seeds": {"heldout_share": pl.col("split") == "heldout"},
    "judged": {"unparsable_share": pl.col("verdict") == "unparsable"},
    "reflection/instructions": {"refused_share": pl.col("status") == "failed"},
    "reflection/answers": {"refused_share": pl.col("status") == "failed"},
    "losses": {"unscored_share": pl.col("s_cond").is_null() & (pl.col("reason") != "off")},
}


@dataclass(frozen=True)
class Facts:
    """Named numbers, and rows that explain those that may be wrong."""

    values: dict[str, float]
    examples: dict[str, list[Example]]


def gather(project: Project, suite: Suite, max_examples: int) -> Facts:
    """Compute all facts of the suite's dataset (docs/gates.md lists them); its shards must have their schema.

    Memory grows with the ids and one 64-bit hash a text, never with the texts. Raises InputError when the counts of
    the stage or the parent dataset are missing.
    """
    frame = pl.scan_parquet(shards(project.dataset(suite.dataset)))
    whole = _collect(frame.select(rows=pl.len(), distinct=pl.col("id").n_unique())).row(0, named=True)
    rows = whole["rows"]
    values = {"rows": rows, **_from_counts(project.counts(suite.stage), rows)}
    values["unique_ids"] = whole["distinct"] / rows if rows else 1.0
    suspects = {"unique_ids": _repeated(frame, pl.col("id"))}
    if text := _main_text(suite.dataset):
        hashed = pl.col(text).hash()
        distinct = _collect(frame.select(hashed.n_unique())).item()
        values["duplicate_share"] = (rows - distinct) / rows if rows else 0.0
        suspects["duplicate_share"] = _repeated(frame, hashed)
    for name, holds in _SHARES.get(suite.dataset, {}).items():
        values[name] = _collect(frame.select(holds.mean())).item() or 0.0
    for name, column in _DISTINCT.get(suite.dataset, {}).items():
        values[name] = _collect(frame.select(pl.col(column).drop_nulls().n_unique())).item()
    if suite.parent:
        against, lost = _against_parent(project, frame, suite.parent, values["rows_in"])
        values |= against
        suspects |= lost
    return Facts(values, {name: _examples(query, max_examples) for name, query in suspects.items()})


def _from_counts(path: Path, rows: int) -> dict[str, float]:
    """Facts from the counts of the stage, of which `rows` are on disk."""
    try:
        counts = json.loads(path.read_text(encoding="utf-8"))
        rows_in, kept, dropped, failed = (int(counts[name]) for name in ("rows_in", "kept", "dropped", "failed"))
        limited = sum(int(counts["reasons"].get(name, 0)) for name in _LIMITS)
    except FileNotFoundError:
        raise InputError(f"{path} not found; run the stage again, it writes its counts beside the dataset") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is not the counts of a stage ({error!r}); run the stage again") from None
    taken = rows_in - limited  # a sample is a choice, not a loss
    return {
        "rows_in": rows_in,
        "limited": limited,
        "conservation": rows_in - kept - dropped - failed,
        "uncounted": rows - kept,
        "kept_share": kept / taken if taken else 0.0,
        "failed_share": failed / taken if taken else 0.0,
    }


def _against_parent(
    project: Project, frame: pl.LazyFrame, parent: str, rows_in: float
) -> tuple[dict[str, float], dict[str, pl.LazyFrame]]:
    """Facts that need the parent dataset, and the queries for the rows behind them."""
    older = pl.scan_parquet(shards(project.dataset(parent)))
    parent_rows = _collect(older.select(pl.len())).item()
    suspects = {
        "orphan_ids": _excerpted(frame.join(older.select("id"), on="id", how="anti"), pl.lit("not in " + parent))
    }
    if "finish" in DATASETS[parent]:
        cut = older.filter(pl.col("finish").ne_missing("stop")).select("id", "finish")
        suspects["unfinished"] = _excerpted(frame.select("id").join(cut, on="id"), pl.col("finish"))
    counted = {name: _collect(query.select(pl.len())).item() for name, query in suspects.items()}
    return {"parent_rows": parent_rows, "not_taken": parent_rows - rows_in, **counted}, suspects


def _main_text(dataset: str) -> str | None:
    """The column that makes a row worth having, None for tables of scores."""
    return next((name for name in _MAIN_TEXT if name in DATASETS[dataset]), None)


def _repeated(frame: pl.LazyFrame, key: pl.Expr) -> pl.LazyFrame:
    """For each key that occurs more than once: the lowest of its ids, and how often it occurs."""
    groups = frame.group_by(key.alias("key")).agg(pl.len(), pl.col("id").min()).filter(pl.col("len") > 1)
    return _excerpted(groups, pl.format("{} times", "len"))


def _excerpted(frame: pl.LazyFrame, excerpt: pl.Expr) -> pl.LazyFrame:
    return frame.select("id", excerpt=excerpt)


def _examples(query: pl.LazyFrame, limit: int) -> list[Example]:
    """The first rows in id order, so that a report does not depend on the order in which threads finish."""
    found = _collect(query.sort("id").head(limit))
    return [Example(id or "null", excerpt or "") for id, excerpt in found.iter_rows()]


def _collect(query: pl.LazyFrame) -> pl.DataFrame:
    return query.collect(engine="streaming")
