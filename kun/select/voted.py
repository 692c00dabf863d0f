"""What people's votes do to the pairs before the choice among them."""

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from kun.corpus.evals import EvalGrams
from kun.params.choice import VoteUse
from kun.schemas.schema import Schema
from kun.tables.rules import Rule, absent, split_by_rules
from kun.votes.majority import CONTAMINATED, VOTED_OUT, Decision, decisions
from kun.votes.vote import EDITABLE, Vote, seen_key

TOLD: Schema = {"id": pl.String, "decided": pl.String, "out": pl.Boolean, "kept": pl.Boolean, "edited_by": pl.String}
FRESH: Schema = {f"new_{name}": pl.String for name in EDITABLE}


class Voted(NamedTuple):
    """The pairs as the votes leave them."""

    rows: pl.DataFrame
    """With edits in place, `edited_by` ("" where there is none) and `protected`."""
    out: pl.DataFrame
    """Those that the majority drops, and those whose edit an evaluation set knows, with reason."""
    counts: dict[str, int]
    """stale, absent (votes that do not apply), edited, protected (rows)."""


def apply_votes(pairs: pl.DataFrame, votes: list[Vote], use: VoteUse, evals: Callable[[], EvalGrams]) -> Voted:
    """Apply standing votes to `pairs`, which keep their order; a vote on a text that has changed since is stale.

    An edited pair is held against the evaluation sets once more, protected or not; `evals` reads them, and is called when
    there is one.
    """
    votes = [] if use == "ignore" else votes
    shown = pairs.filter(pl.col("id").is_in([vote.id for vote in votes])).iter_rows(named=True)
    seen = {row["id"]: seen_key(row) for row in shown}
    fresh = [vote for vote in votes if seen.get(vote.id) == vote.seen]
    told = _table(decisions(fresh))
    texts = {name: pl.coalesce(f"new_{name}", name) for name in EDITABLE}
    joined = pairs.join(told, on="id", how="left", maintain_order="left").with_columns(
        pl.col("edited_by").fill_null(""),
        protected=pl.col("kept").fill_null(False) & (use == "protect"),
        **texts,
    )
    stays = Rule(~pl.col("out").fill_null(False), pl.col("decided"), "no majority to drop")
    split = split_by_rules(_with_evals(joined, evals), {VOTED_OUT: stays, CONTAMINATED: absent("found_eval")})
    rows = split.kept.drop("decided", "out", "kept", "found_eval", *FRESH)
    elsewhere = sum(vote.id not in seen for vote in votes)
    counts = {
        "stale": len(votes) - len(fresh) - elsewhere,
        "absent": elsewhere,
        "edited": rows.filter(pl.col("edited_by") != "").height,
        "protected": rows.filter("protected").height,
    }
    return Voted(rows, split.dropped, counts)


def _with_evals(rows: pl.DataFrame, evals: Callable[[], EvalGrams]) -> pl.DataFrame:
    """Add `found_eval`, what an edited pair shares with an evaluation item, "" for nothing: the others were looked at before."""
    edited = rows.filter(pl.col("edited_by") != "")
    if edited.is_empty():
        return rows.with_columns(found_eval=pl.lit(""))
    known = evals()
    texts = edited.select(
        pl.concat_str("instruction", "input", "output", separator="\n", ignore_nulls=True)
    ).to_series()
    found = edited.select("id", found_eval=pl.Series([known.quote(text) or "" for text in texts], dtype=pl.String))
    joined = rows.join(found, on="id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("found_eval").fill_null(""))


def spared(rules: dict[str, Rule]) -> dict[str, Rule]:
    """The rules, which a protected row passes whatever they say."""
    return {
        name: Rule(pl.col("protected") | rule.keep.fill_null(False), rule.value, rule.threshold)
        for name, rule in rules.items()
    }


def _table(found: dict[str, Decision]) -> pl.DataFrame:
    """A row for each decision, in the schema TOLD | FRESH; a new text is null where no edit names one."""
    rows = []
    for key, decision in found.items():
        edit = decision.edit
        row = {"id": key, "decided": decision.told, "out": decision.out, "kept": decision.kept}
        row |= {"edited_by": edit.reviewer if edit else "", "new_instruction": None, "new_output": None}
        rows.append(row | ({f"new_{name}": text for name, text in edit.edit.items()} if edit else {}))
    return pl.DataFrame(rows, schema=TOLD | FRESH)
