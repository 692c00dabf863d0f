"""Answers by a second model, which sees the question alone."""

from typing import Any

import polars as pl

from kun.engine.base import Sampling
from kun.glan.ask import ask
from kun.glan.texts import read_answer
from kun.params import Engine, Glan
from kun.project import Project
from kun.prompts import render
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import writing_stage

STAGE = "glan/answers"


def answers(project: Project, params: Glan, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Answer each question; data/glan/answers. None on helper ranks and after a pilot."""
    paths = read_dataset(project.dataset("glan/nodes")).select(discipline_id="id", source="path")
    rows = read_dataset(project.dataset("glan/questions"), ["id", "discipline_id", "question"])
    rows = rows.join(paths, on="discipline_id", how="left", maintain_order="left")
    stage = writing_stage(project, STAGE, engine, params.answerer, pilot)
    prompts = [
        stage.tokens.chat(render("answer", params.lang, instruction=question, input=""))
        for question in rows["question"]
    ]
    sampling = Sampling(
        params.answer_tokens,
        params.answer_temperature,
        params.answer_top_p,
        params.repetition_penalty,
        params.seed,
    )
    told = ask(
        stage,
        rows.with_columns(pl.Series("prompt", prompts, dtype=pl.String)),
        sampling,
        lambda row, text, finish: read_answer(row["question"], text, finish),
        params.attempts,
    )
    if told is None:
        return None
    kept = told.rows.with_columns(pl.Series("answer", told.replies, dtype=pl.String))
    return close_stage(
        project, STAGE, "glan/answers", rows.height, kept, [rejects(told.failed, STAGE, status="failed")]
    )
