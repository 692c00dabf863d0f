"""Step 6 of Dynosaur: what each step of growth trains, the new pairs and those of replayed tasks, shuffled. No model runs."""

from typing import Any

import polars as pl

from kun.corpus.text import text_id, unit_hash
from kun.params import Dynosaur
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, split_by_rules
from kun.tables.shards import read_dataset

STAGE = "dynosaur/lessons"


def lessons(project: Project, params: Dynosaur) -> dict[str, Any]:
    """Join data/dynosaur/pairs and data/dynosaur/replay; data/dynosaur/lessons.

    A row in is a step and a pair of a task that is new in it or replayed. Held-out pairs are replayed by no step.
    """
    steps = read_dataset(project.dataset("dynosaur/tasks"), ["id", "step"]).rename({"id": "task"})
    pairs = read_dataset(project.dataset("dynosaur/pairs")).join(steps, on="task", how="left", maintain_order="left")
    replayed = read_dataset(project.dataset("dynosaur/replay"), ["task", "step"])
    old = pairs.drop("step").join(replayed, on="task", how="inner", maintain_order="left_right")
    both = [pairs.with_columns(role=pl.lit("new")), old.select(pairs.columns).with_columns(role=pl.lit("replay"))]
    told = _with_turns(pl.concat(both), params)
    split = split_by_rules(told, rules(params))
    kept = split.kept.sort("step", "turn", "id")
    return close_stage(
        project,
        STAGE,
        STAGE,
        told.height,
        kept,
        [rejects(split.dropped, STAGE, excerpt="instruction")],
        steps=kept.group_by("step", "role", "split").len("rows").sort("step", "role", "split").to_dicts(),
    )


def rules(params: Dynosaur) -> dict[str, Rule]:
    """What is not trained again."""
    new, limit = pl.col("role") == "new", params.replay_instances_per_task
    return {
        "heldout": Rule(new | (pl.col("split") == "train"), pl.col("split"), "train"),
        "limit": Rule(new | (pl.col("place") <= limit), pl.col("place"), limit),
    }


def _with_turns(pairs: pl.DataFrame, params: Dynosaur) -> pl.DataFrame:
    """Ids, the split by the hash of the pair, `place` among the trainable pairs of a replayed task, `turn` in the step."""
    seed, share = params.seed, params.heldout
    heldout = pl.Series([unit_hash(seed, "heldout", pair) < share for pair in pairs["id"]], dtype=pl.Boolean)
    turns = [unit_hash(seed, step, pair) for step, pair in pairs.select("step", "id").iter_rows()]
    ids = [text_id(f"{step}\n{pair}") for step, pair in pairs.select("step", "id").iter_rows()]
    placed = pairs.with_columns(
        pair=pl.col("id"),
        id=pl.Series(ids, dtype=pl.String),
        turn=pl.Series(turns, dtype=pl.Float64),
        split=pl.when(heldout).then(pl.lit("heldout")).otherwise(pl.lit("train")),
    )
    place = pl.col("turn").rank("ordinal").over("step", "role", "task", "split").cast(pl.Int64)
    return placed.with_columns(place=place)
