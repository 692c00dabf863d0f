"""Class sessions and key concepts of each syllabus, read in a second turn."""

from typing import Any

import polars as pl

from kun.glan.ask import Told, ask, record_sampling
from kun.glan.names import record_id, same_name
from kun.glan.records import Items, Refusal, read_sessions, sessions_schema
from kun.glan.refused import refused_items
from kun.params import Engine, Glan
from kun.project import Project
from kun.prompts import render
from kun.schemas.glan import GLAN_SESSION
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, within_context, writing_stage

STAGE = "glan/sessions"


def sessions(project: Project, params: Glan, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Read the sessions of each syllabus; data/glan/sessions. None on helper ranks.

    A row that comes in is a session that was read, or a syllabus of which none could be.
    """
    paths = read_dataset(project.dataset("glan/nodes"), ["id", "path"]).rename({"id": "discipline_id"})
    subjects = read_dataset(project.dataset("glan/subjects"), ["id", "discipline_id", "name"])
    rows = read_dataset(project.dataset("glan/syllabi"), ["id", "text"])
    rows = rows.join(subjects, on="id", how="left", maintain_order="left")
    rows = rows.join(paths, on="discipline_id", how="left", maintain_order="left").rename({"path": "source"})
    stage = writing_stage(project, STAGE, engine, params.teacher, pilot)
    prompts = [
        stage.tokens.chat(render("glan_sessions", params.lang, subject=row["name"], text=row["text"]))
        for row in rows.iter_rows(named=True)
    ]
    fitting, too_long = within_context(rows, prompts, stage.tokens, engine.context - params.record_tokens)
    told = _asked(stage, fitting.drop("text"), params)
    if told is None:
        return None
    kept, refused = _sessions(told), refused_items(told)
    rejected = [
        rejects(too_long, STAGE),
        rejects(told.failed, STAGE, status="failed"),
        rejects(refused, STAGE),
    ]
    rows_in = kept.height + refused.height + told.failed.height + too_long.height
    return close_stage(project, STAGE, "glan/sessions", rows_in, kept, rejected, syllabi=rows.height)


def _asked(stage: ModelStage, rows: pl.DataFrame, params: Glan) -> Told | None:
    schema = sessions_schema(params.sessions, params.concepts, params.lang, params.plain)

    def parse(_: dict[str, Any], text: str, finish: str) -> Items | Refusal:
        return read_sessions(text, finish, params.sessions, params.concepts, params.lang)

    return ask(stage, rows, record_sampling(params), parse, params.attempts, schema)


def _sessions(told: Told) -> pl.DataFrame:
    rows = []
    for row, items in zip(told.rows.iter_rows(named=True), told.replies, strict=True):
        for place, item in enumerate(items.valid):
            id = record_id(subject_id=row["id"], name=same_name(item["name"]))
            ids = [record_id(session_id=id, concept=same_name(concept)) for concept in item["concepts"]]
            own = {"id": id, "subject_id": row["id"], "place": place, "concept_ids": ids, "source": row["source"]}
            rows.append(own | item)
    return pl.DataFrame(rows, schema=GLAN_SESSION | {"source": pl.String})
