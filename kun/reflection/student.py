"""The student's scores of versions: the perplexity forms of IFD and reversed IFD, as the published selection reads them."""

from dataclasses import replace
from typing import Any

import polars as pl

from kun.errors import ConfigError
from kun.params import Engine, Losses
from kun.project import Project
from kun.reflection.choice import LOSSES, SCORES, TEXTS, number
from kun.select.losses import REASONS, pair_losses, scorer
from kun.select.scores import with_scores
from kun.tables.ledger import close_stage, rejects
from kun.work.stage import ModelStage


def student(project: Project, stage: str, params: Losses, engine: Engine) -> ModelStage:
    """The model that decides: the scorer of `losses`."""
    if params.model == "none":
        raise ConfigError("losses.model is none, but reflection lets a student decide; name a scorer, base for example")
    return scorer(project, params, engine, stage=stage)


def scored(stage: ModelStage, frame: pl.DataFrame, versions: list[str], params: Losses) -> pl.DataFrame | None:
    """Add the scores of each version (old, new) in place of such columns; None on helper ranks.

    All versions are one piece of work, in which the length of a batch does not hang on the version. Null where a version has
    no score; `<version>_scored` says why, and is "" where there is no version.
    """
    parts = [_texts(frame, version) for version in versions]
    losses = pair_losses(stage, pl.concat(parts), replace(params, reversed=True))
    if losses is None:
        return None
    told = pl.when(pl.col("reason") == "ok").then("reason_reversed").otherwise("reason")
    table = with_scores(losses).select(*LOSSES, ifd="ifd_ppl", rifd="rifd_ppl", scored=told)
    start = 0
    for version, part in zip(versions, parts, strict=True):
        own = pl.concat([part.select("id"), table.slice(start, part.height)], how="horizontal")
        frame = _with(frame, own, version)
        start += part.height
    return frame


def _texts(frame: pl.DataFrame, version: str) -> pl.DataFrame:
    there = frame.filter(pl.col("refusal") == "") if version == "new" else frame
    return there.select("id", *(pl.col(f"{version}_{name}").alias(name) for name in TEXTS))


def _with(frame: pl.DataFrame, own: pl.DataFrame, version: str) -> pl.DataFrame:
    named = own.rename({name: f"{version}_{name}" for name in SCORES})
    joined = frame.drop(set(frame.columns) & set(named.columns) - {"id"}).join(
        named, on="id", how="left", maintain_order="left"
    )
    return joined.with_columns(pl.col(f"{version}_scored").fill_null(""))


def closed(project: Project, stage: str, frame: pl.DataFrame, score: str) -> dict[str, Any]:
    """Close a stage of choices. Pairs whose old version has no `score` cannot be compared: dropped, or failed with the
    engine's reason."""
    lost = number(f"old_{score}").is_null()
    without = frame.filter(lost).with_columns(value=pl.col("old_scored"), threshold=pl.lit("a score"))
    known = pl.col("old_scored").is_in(REASONS)
    dropped = without.filter(known).with_columns(reason=pl.lit("old_unscored"))
    failed = without.filter(~known).with_columns(reason="old_scored")
    kept = frame.filter(~lost)
    return close_stage(
        project,
        stage,
        stage,
        frame.height,
        kept,
        [
            rejects(dropped, stage, excerpt="old_instruction"),
            rejects(failed, stage, status="failed", excerpt="old_instruction"),
        ],
        choices=dict(kept.group_by("reason").len().sort("reason").iter_rows()),
    )
