"""The lists of a discipline as records, in a second turn, merged: one subject for each name and level."""

from typing import Any

import polars as pl

from kun.glan.ask import Told, ask, record_sampling
from kun.glan.names import record_id, same_name
from kun.glan.records import Items, Refusal, read_subjects, subjects_schema
from kun.glan.refused import refused_items
from kun.params import Engine, Glan
from kun.project import Project
from kun.prompts import render
from kun.schemas.glan import GLAN_SUBJECT
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, within_context, writing_stage

STAGE = "glan/subjects"


def subjects(project: Project, params: Glan, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Read the subjects of each list and merge them within a discipline; data/glan/subjects. None on helper ranks.

    A row that comes in is a subject that a list names, or a reply of which nothing could be read.
    """
    nodes = read_dataset(project.dataset("glan/nodes")).select(discipline_id="id", name=params.lang, source="path")
    rows = read_dataset(project.dataset("glan/lists")).drop("finish", "n_new")
    rows = rows.join(nodes, on="discipline_id", how="left", maintain_order="left")
    stage = writing_stage(project, STAGE, engine, params.teacher, pilot)
    prompts = [
        stage.tokens.chat(render("glan_subjects", params.lang, discipline=row["name"], text=row["text"]))
        for row in rows.iter_rows(named=True)
    ]
    fitting, too_long = within_context(rows, prompts, stage.tokens, engine.context - params.record_tokens)
    told = _asked(stage, fitting.drop("text"), params)
    if told is None:
        return None
    mentions = _mentions(told)
    merged = merge(mentions)
    kept, beyond = _most_named(merged, params.subjects)
    refused = refused_items(told)
    rejected = [
        rejects(too_long, STAGE, excerpt="text"),
        rejects(told.failed, STAGE, status="failed"),
        rejects(refused, STAGE),
        rejects(_folded(mentions, merged), STAGE, excerpt="name"),
        rejects(beyond, STAGE, excerpt="name"),
    ]
    rows_in = mentions.height + told.failed.height + refused.height + too_long.height
    return close_stage(project, STAGE, "glan/subjects", rows_in, kept, rejected, lists=rows.height)


def merge(mentions: pl.DataFrame) -> pl.DataFrame:
    """One row for each `id` in first-seen order: the first record, topics of all, and how many lists name it."""
    return (
        mentions.group_by("id", maintain_order=True)
        .agg(
            pl.exclude("topics", "list_id").first(),
            pl.col("topics").explode().unique(maintain_order=True),
            pl.col("list_id").n_unique().cast(pl.Int64).alias("n_mentions"),
        )
        .select(*mentions.drop("list_id").columns, "n_mentions")
    )


def _asked(stage: ModelStage, rows: pl.DataFrame, params: Glan) -> Told | None:
    schema = subjects_schema(params.list_subjects, params.lang, params.plain)

    def parse(_: dict[str, Any], text: str, finish: str) -> Items | Refusal:
        return read_subjects(text, finish, params.list_subjects, params.lang)

    return ask(stage, rows, record_sampling(params), parse, params.attempts, schema)


def _mentions(told: Told) -> pl.DataFrame:
    rows = [
        {
            "id": record_id(
                discipline_id=row["discipline_id"], name=same_name(item["name"]), level=same_name(item["level_raw"])
            ),
            "discipline_id": row["discipline_id"],
            "list_id": row["id"],
            "source": row["source"],
            **item,
        }
        for row, items in zip(told.rows.iter_rows(named=True), told.replies, strict=True)
        for item in items.valid
    ]
    kept = {name: kind for name, kind in GLAN_SUBJECT.items() if name != "n_mentions"}
    return pl.DataFrame(rows, schema=kept | {"list_id": pl.String, "source": pl.String})


def _folded(mentions: pl.DataFrame, merged: pl.DataFrame) -> pl.DataFrame:
    """Every mention but the first of its subject."""
    again = mentions.filter(~pl.col("id").is_first_distinct())
    return again.with_columns(
        pl.Series("id", [record_id(mention=id, place=place) for place, id in enumerate(again["id"])], dtype=pl.String),
        reason=pl.lit("merged"),
        value=pl.col("id"),
        threshold=pl.lit("one subject for each name and level"),
    )


def _most_named(merged: pl.DataFrame, limit: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The `limit` subjects of each discipline that most lists name, the first seen of equals; the rest as dropped rows."""
    order = ["discipline_id", "n_mentions"]
    ranked = merged.sort(order, descending=[False, True], maintain_order=True)
    place = pl.int_range(pl.len()).over("discipline_id")
    beyond = place >= limit if limit else pl.lit(False)
    rest = ranked.filter(beyond).with_columns(
        reason=pl.lit("limit"), value=pl.col("n_mentions").cast(pl.String), threshold=pl.lit(str(limit))
    )
    return ranked.filter(~beyond), rest
