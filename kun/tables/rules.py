"""Rules: named polars expressions, true for a row to keep. The name of the first broken rule is the drop reason."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Rule:
    """One reason to drop a row."""

    keep: pl.Expr
    """True for a row to keep; null counts as broken."""
    value: pl.Expr
    """What the rule looked at, for the ledger: of its own row, as only rows that are dropped are asked for it."""
    threshold: object = ""
    """What it asked for, for the ledger."""


def absent(column: str) -> Rule:
    """Nothing was found: `column` holds "", or else what must not be there."""
    return Rule(pl.col(column) == "", pl.col(column), "none")


def at_most(column: str, limit: float) -> Rule:
    """`column` is a number up to `limit`."""
    return Rule(pl.col(column) <= limit, pl.col(column).round(4), f"<= {limit}")


def at_least(column: str, limit: float) -> Rule:
    """`column` is a number from `limit`."""
    return Rule(pl.col(column) >= limit, pl.col(column).round(4), f">= {limit}")


@dataclass(frozen=True)
class Split:
    """Rows that passed, and rows that did not with `reason`, `value`, `threshold` (strings) behind their own columns."""

    kept: pl.DataFrame
    dropped: pl.DataFrame


def split_by_rules(frame: pl.DataFrame, rules: Mapping[str, Rule]) -> Split:
    """Separate the rows that pass every rule from those that break one, in one pass.

    `Split.dropped` names the first broken rule in mapping order; `len(kept) + len(dropped) == len(frame)`.
    """
    if not rules:
        empty = {name: pl.String for name in ("reason", "value", "threshold")}
        return Split(frame, frame.clear().with_columns(**{n: pl.lit(None, dtype=t) for n, t in empty.items()}))
    reason = pl.coalesce(pl.when(~rule.keep.fill_null(False)).then(pl.lit(name)) for name, rule in rules.items())
    marked = frame.with_columns(reason=reason)
    dropped = marked.filter(pl.col("reason").is_not_null()).with_columns(
        value=pl.coalesce(
            pl.when(pl.col("reason") == name).then(rule.value.cast(pl.String)) for name, rule in rules.items()
        ),
        threshold=pl.col("reason").replace_strict({name: str(rule.threshold) for name, rule in rules.items()}),
    )
    return Split(marked.filter(pl.col("reason").is_null()).drop("reason"), dropped)
