"""Rows of two versions by id: added, removed, changed, and by which fields. No text of all rows is held: hashes are compared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from kun.schemas.pairs import PAIR

CONTENT = ("instruction", "input", "output", "source", "method", "licence")
"""Fields whose difference makes a row another one under the same id."""
SCORES = ("p_good", "copy_rate", "support", "ifd_ppl", "rifd_ppl", "ira", "rank")
SAMPLES = 5
TOPIC_METHODS = ("glan", "dynosaur")
"""Methods whose source is a topic: a discipline, a dataset."""


@dataclass(frozen=True)
class RowDiff:
    """What differs between the rows of two versions."""

    before: int
    after: int
    added: int
    removed: int
    changed: int
    """Rows under the same id with another content."""
    fields: dict[str, int]
    """Field -> rows of both versions in which it differs; scores too, which do not make a row changed."""
    samples: dict[str, list[dict[str, Any]]]
    """`added`, `removed`: rows; `changed`: id, and `before` and `after` of the fields that differ."""


def diff_rows(before: list[Path], after: list[Path], samples: int = SAMPLES) -> RowDiff:
    """Compare the shards of two versions of a dataset of pairs."""
    sides = [pl.scan_parquet(files) for files in (before, after)]
    columns = _columns(sides)
    left, right = ((side.select("id", *(_hashed(name) for name in columns))) for side in sides)
    both = left.join(right, on="id", how="full", suffix="_after")
    marks = both.select(
        pl.coalesce("id", "id_after").alias("id"),
        removed=pl.col("id_after").is_null(),
        added=pl.col("id").is_null(),
        **{name: pl.col(name).ne_missing(pl.col(f"{name}_after")) for name in columns},
    ).collect(engine="streaming")
    shared = marks.filter(~pl.col("removed") & ~pl.col("added"))
    content = [name for name in CONTENT if name in columns]
    changed = shared.filter(pl.any_horizontal(content) if content else pl.lit(False))
    fields = {name: int(shared[name].sum()) for name in columns}
    return RowDiff(
        before=marks.height - int(marks["added"].sum()),
        after=marks.height - int(marks["removed"].sum()),
        added=int(marks["added"].sum()),
        removed=int(marks["removed"].sum()),
        changed=changed.height,
        fields={name: count for name, count in fields.items() if count},
        samples={
            "added": _samples(sides[1], marks.filter("added"), samples),
            "removed": _samples(sides[0], marks.filter("removed"), samples),
            "changed": _pairs(sides, changed, content, samples),
        },
    )


def _columns(sides: list[pl.LazyFrame]) -> list[str]:
    """What both versions have of a row, in the order of the schema."""
    have = [set(side.collect_schema().names()) for side in sides]
    return [name for name in (*CONTENT, *SCORES) if all(name in names for names in have)]


def _hashed(name: str) -> pl.Expr:
    """Texts as 64 bits, null as null: a million rows of texts would not fit into the memory of a laptop twice."""
    column = pl.col(name)
    return pl.when(column.is_not_null()).then(column.hash()).alias(name) if PAIR.get(name) == pl.String else column


def _samples(side: pl.LazyFrame, rows: pl.DataFrame, count: int) -> list[dict[str, Any]]:
    """A fair few: ids are hashes."""
    wanted = rows.select("id").sort("id").head(count)
    kept = [name for name in ("id", *CONTENT, "p_good") if name in side.collect_schema().names()]
    found = side.select(kept).join(wanted.lazy(), on="id", how="semi").collect()
    return found.sort("id").to_dicts()


def _pairs(sides: list[pl.LazyFrame], changed: pl.DataFrame, content: list[str], count: int) -> list[dict[str, Any]]:
    shown = changed.sort("id").head(count)
    left, right = (_by_id(side, shown.select("id"), content) for side in sides)
    told = []
    for row in shown.iter_rows(named=True):
        differ = [name for name in content if row[name]]
        one, other = left[row["id"]], right[row["id"]]
        told.append({"id": row["id"], "before": {n: one[n] for n in differ}, "after": {n: other[n] for n in differ}})
    return told


def _by_id(side: pl.LazyFrame, ids: pl.DataFrame, columns: list[str]) -> dict[str, dict[str, Any]]:
    found = side.select("id", *columns).join(ids.lazy(), on="id", how="semi").collect()
    return {row["id"]: row for row in found.to_dicts()}
