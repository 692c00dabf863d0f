"""Who qualifies, and in which order: filters, ranking, repeated instructions, quotas. Pure functions of a table.

Ties go by id, so that the order of the rows decides nothing.
"""

import math
from collections.abc import Mapping
from typing import get_args

import polars as pl

from kun.corpus.neardup import without_near_duplicates
from kun.corpus.text import by_source, unit_hash
from kun.params import Rank, Select
from kun.params.choice import LIMITS, Amount, Loss, Score
from kun.select.scores import with_scores
from kun.tables.rules import Rule, Split, split_by_rules

REVERSED = ("rifd_loss", "rifd_ppl", "s_rcond", "s_rdirect")
"""Scores of the pass that guesses the instruction."""


def scored(pairs: pl.DataFrame, losses: pl.DataFrame) -> pl.DataFrame:
    """Pairs with every `Score`, null where there is none, and why in `unscored` and `unscored_reversed`."""
    why = {"reason": "unscored", "reason_reversed": "unscored_reversed"}
    scores = with_scores(losses).rename(why).drop("truncated", "template", "scorer")
    rows = pairs.join(scores, on="id", how="left", maintain_order="left")
    return rows.with_columns(length=pl.col("output").str.len_chars())


def amount(wanted: Amount, rows: int) -> int:
    """A whole number as it is, a share of `rows` rounded down (0.29 of 100 is 29, whatever floats say)."""
    return wanted if isinstance(wanted, int) else math.floor(round(wanted * rows, 6))


def used_scores(params: Select) -> list[str]:
    """Scores that a row must have to be chosen."""
    wanted = [str(one["score"]) for one in params.filters]
    return list(dict.fromkeys([*wanted, params.rank.by] if params.rank.by in get_args(Score) else wanted))


def filter_rules(params: Select) -> dict[str, Rule]:
    """`no_<score>` where a score is missing, then `<score>_high` and `<score>_low` by each filter."""
    rules = {
        f"no_{score}": Rule(pl.col(score).is_finite(), _why_none(score), "a score") for score in used_scores(params)
    }
    for wanted in params.filters:
        score = str(wanted["score"])
        for key, value in wanted.items():
            if key in LIMITS:
                limit, column = LIMITS[key], pl.col(score)
                rules[f"{score}_{limit.fault}"] = Rule(
                    limit.holds(column, value), column.round(4), f"{limit.sign} {value}"
                )
    return rules


def ranked(rows: pl.DataFrame, rank: Rank, seed: int) -> pl.DataFrame:
    """Rows in the order of the ranking, with `rank` from 1; equal ones in the order of their ids, those without a
    score last."""
    if rank.by == "random":
        key = pl.Series([unit_hash("rank", seed, one) for one in rows["id"]], dtype=pl.Float64)
    else:
        key = pl.repeat(0, rows.height, eager=True) if rank.by == "none" else rows[rank.by]
    keyed = rows.with_columns(key=key)
    ordered = keyed.sort(
        "key", "id", descending=[rank.descending, False], nulls_last=[True, False], maintain_order=True
    ).drop("key")
    return ordered.with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))


def without_repeats(rows: pl.DataFrame, threshold: float, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows without those whose instruction (and input) repeats that of a row before, and these with their reason."""
    both = rows.select("instruction", "input").iter_rows() if threshold else ()
    asked = [f"{instruction}\n{text}" for instruction, text in both]
    return without_near_duplicates(rows, asked, threshold, seed)


def within_quotas(rows: pl.DataFrame, quotas: Mapping[str, Amount], count: int) -> Split:
    """The first rows of each source as far as its quota goes; a share is one of `count`. Others have no limit."""
    if not quotas:
        return split_by_rules(rows, {})
    most = {name: amount(quota, count) for name, quota in quotas.items()}
    held = rows.with_columns(
        quota_of=by_source({name: name for name in quotas}, "", pl.String), most=by_source(most, None, pl.Int64)
    ).with_columns(place=pl.int_range(1, pl.len() + 1).over("quota_of"))
    within = pl.col("most").is_null() | (pl.col("place") <= pl.col("most"))
    split = split_by_rules(held, {"quota": Rule(within, pl.format("row {} of {}", "place", "quota_of"))})
    return Split(
        split.kept.drop("quota_of", "most", "place"),
        split.dropped.with_columns(threshold=pl.format("<= {}", "most")).drop("quota_of", "most", "place"),
    )


def arm(rows: pl.DataFrame, name: str, count: int, rank: Rank, seed: int) -> pl.DataFrame:
    """`count` of `rows` to train against a selection of as many: by chance, the longest answers, or the score alone."""
    ranks = {"random": Rank("random", True), "longest": Rank("length", True), "score_only": rank}
    return ranked(rows, ranks[name], seed).head(count)


def _why_none(score: str) -> pl.Expr:
    if score not in get_args(Loss):
        return pl.lit("null")
    return pl.col("unscored_reversed" if score in REVERSED else "unscored").fill_null("not scored")
