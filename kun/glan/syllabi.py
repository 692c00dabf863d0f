"""A syllabus for each subject: free text, kept whole, for the questions are asked with all of it in view."""

from typing import Any

import polars as pl

from kun.engine.base import Sampling
from kun.glan.ask import ask
from kun.glan.texts import whole_lines
from kun.params import Engine, Glan
from kun.project import Project
from kun.prompts import render
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import writing_stage

STAGE = "glan/syllabi"


def syllabi(project: Project, params: Glan, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Write one syllabus for each subject; data/glan/syllabi. None on helper ranks."""
    nodes = read_dataset(project.dataset("glan/nodes")).select(
        discipline_id="id", discipline=params.lang, source="path"
    )
    subjects = read_dataset(project.dataset("glan/subjects"))
    rows = subjects.join(nodes, on="discipline_id", how="left", maintain_order="left")
    stage = writing_stage(project, STAGE, engine, params.teacher, pilot)
    prompts = [stage.tokens.chat(syllabus_prompt(row, params.lang)) for row in rows.iter_rows(named=True)]
    rows = rows.select("id", "source", pl.Series("prompt", prompts, dtype=pl.String))
    sampling = Sampling(
        params.syllabus_tokens, params.temperature, params.top_p, params.repetition_penalty, params.seed
    )
    told = ask(stage, rows, sampling, lambda _, text, finish: whole_lines(text, finish), params.attempts)
    if told is None:
        return None
    kept = told.rows.with_columns(pl.Series("text", told.replies, dtype=pl.String))
    failed = rejects(told.failed, STAGE, status="failed")
    return close_stage(project, STAGE, "glan/syllabi", rows.height, kept, [failed])


def syllabus_prompt(row: dict[str, Any], lang: str) -> str:
    """Ask for the syllabus of a subject: its discipline, name, level and topics."""
    topics = ("、" if lang == "zh" else ", ").join(row["topics"])
    return render(
        "glan_syllabus", lang, discipline=row["discipline"], subject=row["name"], level=row["level_raw"], topics=topics
    )
