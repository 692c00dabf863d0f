"""Subjects of each discipline, in free text: asking for a form would make the list worse (the paper). Asked several times."""

from typing import Any

import polars as pl

from kun.engine.base import Sampling
from kun.glan.ask import Told, ask
from kun.glan.names import record_id, seed_of
from kun.glan.texts import whole_lines
from kun.params import Engine, Glan
from kun.project import Project
from kun.prompts import render
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, writing_stage

STAGE = "glan/lists"


def lists(project: Project, params: Glan, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Ask `glan.queries` times for the subjects of each chosen discipline; data/glan/lists. None on helper ranks."""
    nodes = read_dataset(project.dataset("glan/nodes")).filter((pl.col("kind") == "discipline") & pl.col("chosen"))
    stage = writing_stage(project, STAGE, engine, params.teacher, pilot)
    told = _asked(stage, nodes, params)
    if told is None:
        return None
    kept = told.rows.drop("seed").with_columns(pl.Series("text", told.replies, dtype=pl.String))
    failed = rejects(told.failed, STAGE, status="failed")
    return close_stage(project, STAGE, "glan/lists", nodes.height * params.queries, kept, [failed])


def _asked(stage: ModelStage, nodes: pl.DataFrame, params: Glan) -> Told | None:
    """Each prompt several times, with other seeds: what a model names once by chance, another list may lack."""
    prompts = [stage.tokens.chat(render("glan_list", params.lang, discipline=name)) for name in nodes[params.lang]]
    queries = pl.DataFrame(
        {
            "query": list(range(params.queries)),
            "seed": [seed_of(params.seed, "list", number) for number in range(params.queries)],
        },
        schema={"query": pl.Int64, "seed": pl.UInt64},
    )
    rows = queries.join(
        nodes.select(
            pl.col("id").alias("discipline_id"),
            pl.col("path").alias("source"),
            pl.Series("prompt", prompts, dtype=pl.String),
        ),
        how="cross",
    )
    ids = [record_id(discipline_id=node, query=number) for node, number in rows.select("discipline_id", "query").rows()]
    sampling = Sampling(params.list_tokens, params.temperature, params.top_p, params.repetition_penalty)
    return ask(
        stage,
        rows.with_columns(pl.Series("id", ids, dtype=pl.String)),
        sampling,
        lambda _, text, finish: whole_lines(text, finish),
        params.attempts,
    )
