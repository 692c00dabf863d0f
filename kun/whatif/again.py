"""Rules under other limits: which kept rows they would drop, and which dropped ones they would keep.

Only what can change is looked at: kept rows by the rules that differ, dropped ones where the rule that dropped them does.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import polars as pl

from kun.tables.rules import Rule, split_by_rules
from kun.whatif.stored import Stored

Rules = Mapping[str, Rule]


@dataclass(frozen=True)
class Reconsidered:
    """What becomes of the rows of a stage."""

    lost: pl.DataFrame
    """Kept rows that break a rule now, with reason, value and threshold."""
    gained: pl.DataFrame
    """Dropped rows that break none now, with all that the stage's rules look at."""


@dataclass(frozen=True)
class Rows:
    """How the rows of a stage are had, and what of them costs next to nothing."""

    stage: str
    stored: Stored
    kept: pl.LazyFrame
    """With what is stored of them."""
    kept_cheap: Collection[str]
    """Columns that are there, or take no call for each row."""
    of_kept: Callable[[pl.DataFrame, Collection[str]], pl.DataFrame]
    """Kept rows -> the same with these columns of what the rules look at."""
    dropped: pl.LazyFrame
    """What came in, with what is stored of it."""
    dropped_cheap: Collection[str]
    of_dropped: Callable[[pl.DataFrame], pl.DataFrame]
    """Rows that came in -> the same with all that the rules look at."""
    limit: int
    """Rows that may be looked at one by one."""


def reconsider(rows: Rows, old: Rules, new: Rules) -> Reconsidered:
    """Look again at the rows of a stage; TooMany when that takes too long."""
    changed = {name: rule for name, rule in new.items() if not same(rule, old.get(name))}
    gone = [name for name in old if name not in new]
    return Reconsidered(_lost(rows, changed), _gained(rows, changed, [*changed, *gone], new))


def same(rule: Rule, other: Rule | None) -> bool:
    """They ask for the same."""
    return other is not None and rule.keep.meta.eq(other.keep) and str(rule.threshold) == str(other.threshold)


def _lost(rows: Rows, changed: Rules) -> pl.DataFrame:
    wanted = {name for rule in changed.values() for name in _columns(rule)}
    if any(not _cheap(rule, rows.kept_cheap) for rule in changed.values()):
        rows.stored.at_most(rows.kept.select(pl.len()).collect().item(), rows.limit)
    kept = rows.kept if changed else rows.kept.clear()
    return split_by_rules(rows.of_kept(kept.collect(), wanted), changed).dropped


def _gained(rows: Rows, changed: Rules, reasons: Collection[str], new: Rules) -> pl.DataFrame:
    """Rows that a changed rule has dropped; the rules after it have never seen them."""
    was = pl.col("reason").is_in(list(reasons)) & (pl.col("status") == "dropped")
    out = rows.stored.ledger(rows.stage).filter(was).select("id").collect()
    quick = {name: rule for name, rule in changed.items() if _cheap(rule, rows.dropped_cheap)}
    if quick:
        known = rows.dropped.select("id", *rows.dropped_cheap).join(out.lazy(), on="id", how="semi").collect()
        out = split_by_rules(known, quick).kept.select("id")
    rows.stored.at_most(out.height, rows.limit)
    back = (
        rows.dropped.join(out.lazy(), on="id", how="semi", maintain_order="left")
        if out.height
        else rows.dropped.clear()
    )
    return split_by_rules(rows.of_dropped(back.collect()), new).kept


def _cheap(rule: Rule, columns: Collection[str]) -> bool:
    """It looks at these columns alone, and calls no function for each row (a hundred times as long as a comparison)."""
    return _columns(rule) <= set(columns) and "python_udf" not in str(rule.keep)


def _columns(rule: Rule) -> set[str]:
    return {name for one in (rule.keep, rule.value) for name in one.meta.root_names()}
