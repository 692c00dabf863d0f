"""The losses behind IFD, Superfiltering, reversed IFD and IRA, from one scoring pass; scores.py derives the scores.

Every sequence of every pair is a job of its own in one queue, so that lengths mix well.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl

from kun import processes
from kun.engine.base import Span
from kun.models import pin_base
from kun.params import Engine, Losses, Model
from kun.project import Project
from kun.schemas.schema import conform
from kun.schemas.select import LOSSES
from kun.select.spans import Scored, answers, instructions
from kun.select.templates import template_of
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset, write_json
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, within_limit
from kun.work.telemetry import Work

STAGE = "losses"
TRAINED = {"base": None, "label": "label", "chat": "chat", "experience": "experience"}
"""Scorers that are the base model, or the base model with an adapter."""
MEANS = ("s_cond", "s_direct", "s_rcond", "s_rdirect")
REASONS = ("ok", "few_tokens", "prompt_too_long", "empty_answer", "off")
"""Whatever else stands in `reason` is why a row has failed."""


def losses(project: Project, params: Losses, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Score the answer of each pair; data/losses. None on helper ranks and after a pilot."""
    pairs = read_dataset(project.dataset("mixed"))
    chosen, beyond = within_limit(pairs, params.limit)
    if params.model == "none":
        scored = _unscored(project, chosen) if processes.rank() == 0 else None
    else:
        scored = pair_losses(scorer(project, params, engine, pilot), chosen, params)
    if scored is None:
        return None
    found = pl.concat([chosen.select("source", "output"), scored], how="horizontal")
    failed = found.filter(~pl.col("reason").is_in(REASONS)).with_columns(value=pl.lit(""), threshold=pl.lit(""))
    kept = found.filter(pl.col("reason").is_in(REASONS))
    return close_stage(
        project,
        STAGE,
        "losses",
        pairs.height,
        kept,
        [rejects(beyond, STAGE, excerpt="output"), rejects(failed, STAGE, status="failed", excerpt="output")],
        scored=kept["s_cond"].count(),
        truncated=kept["truncated"].sum(),
        by_reason=dict(kept.group_by("reason").len().sort("reason").iter_rows()),
    )


def scorer(
    project: Project, params: Losses, engine: Engine, pilot: Pilot | None = None, stage: str = STAGE
) -> ModelStage:
    """The model that `losses.model` names, for a stage; one that is not trained here is pinned in models/scorer.json."""
    if params.model in TRAINED:
        return ModelStage(project, stage, engine, TRAINED[params.model], pilot)
    other = replace(project, pinned="scorer")
    if processes.rank() == 0:
        pin_base(other, Model(params.model, params.revision, ""))
    processes.wait_for_all()
    return ModelStage(other, stage, engine, None, pilot)


def pair_losses(stage: ModelStage, pairs: pl.DataFrame, params: Losses) -> pl.DataFrame | None:
    """One row in the LOSSES schema for each pair (id, instruction, input, output), in order; None on helper ranks.

    A row without score says why in `reason`; one whose computation failed has the failure's name there, and no loss.
    """
    template = template_of(params, stage.tokens)
    sides = {"s_": answers(pairs, template, stage.tokens, params)}
    if params.reversed:
        sides["s_r"] = instructions(pairs, template, stage.tokens, params)
    jobs = list(_jobs(sides, template.direct))
    results = stage.span_losses([span for _, _, span in jobs])
    if results is None:
        return None
    # Rounded: the last digits depend on which rows shared a batch, and would pass for new data with DVC.
    means = results.select((pl.col("total") / pl.col("n_tokens")).round(6)).to_series()
    found = pl.DataFrame(
        {"row": [row for row, _, _ in jobs], "name": [name for _, name, _ in jobs], "mean": means},
        schema={"row": pl.Int64, "name": pl.String, "mean": pl.Float64},
    )
    failures = found.select("row", failure=stage.failures["reason"]).drop_nulls().unique("row", keep="first")
    rows = _rows(pairs["id"], sides).join(failures, on="row", how="left", maintain_order="left")
    for name in MEANS:
        column = found.filter(pl.col("name") == name).select("row", pl.col("mean").alias(name))
        rows = rows.join(column, on="row", how="left", maintain_order="left")
    told = rows.with_columns(
        pl.when(pl.col("failure").is_null()).then(pl.col(MEANS)),
        reason=pl.coalesce("failure", "reason"),
        template=pl.lit(template.label),
        scorer=pl.lit(stage.model_name),
    )
    return conform(told, LOSSES)


def _jobs(sides: dict[str, list[Scored]], direct: str) -> Iterator[tuple[int, str, Span]]:
    """(row, column of its mean, what to score)."""
    for prefix, side in sides.items():
        for row, scored in enumerate(side):
            for name, span in scored.spans(direct).items():
                yield row, prefix + name, span


def _rows(ids: pl.Series, sides: dict[str, list[Scored]]) -> pl.DataFrame:
    """What is known of each pair before any model is asked."""
    answered = sides["s_"]
    asked: list[Scored] | list[None] = sides.get("s_r", [None] * len(answered))
    return pl.DataFrame(
        {
            "row": range(len(answered)),
            "id": ids,
            "n_answer": [scored.n_tokens for scored in answered],
            "n_instruction": [scored and scored.n_tokens for scored in asked],
            "truncated": [
                scored.truncated or bool(other and other.truncated)
                for scored, other in zip(answered, asked, strict=True)
            ],
            "reason": [scored.reason for scored in answered],
            "reason_reversed": [scored and scored.reason for scored in asked],
        },
        schema_overrides={"row": pl.Int64, "n_instruction": pl.Int64, "reason_reversed": pl.String},
    )


def _unscored(project: Project, pairs: pl.DataFrame) -> pl.DataFrame:
    """Rows without scores, for a pipeline that selects by other means; DVC looks for the report of the work all the same."""
    write_json(project.work(STAGE), Work().metrics(STAGE))
    empty = {name: pl.lit(None) for name in LOSSES}
    known = {"n_answer": pl.lit(0), "truncated": pl.lit(False), "reason": pl.lit("off")}
    return conform(pairs.select("id").with_columns(**{n: e for n, e in (empty | known).items() if n != "id"}), LOSSES)
