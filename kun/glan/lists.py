"""Subjects of each discipline, in free text: asking for a form would make the list worse (the paper). Asked several times."""

from typing import Any

import polars as pl

from kun.engine.base import Sampling
from kun.glan.ask import Told, adapter_of, ask
from kun.glan.names import record_id, seed_of
from kun.glan.texts import whole_lines
from kun.params import Engine, Glan
from kun.project import Project
from kun.prompts import render
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage

STAGE = "glan/lists"


def lists(project: Project, params: Glan, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Ask `glan.queries` times for the subjects of each chosen discipline; data/glan/lists. None on helper ranks."""
    nodes = read_dataset(project.dataset("glan/nodes")).filter((pl.col("kind") == "discipline") & pl.col("chosen"))
    stage = ModelStage(project, STAGE, engine, adapter_of(params.teacher), pilot)
    told = [_query(stage, nodes, params, number) for number in range(params.queries)]
    done = [one for one in told if one is not None]
    if not done:
        return None
    texts = [pl.Series("text", one.replies, dtype=pl.String) for one in done]
    kept = pl.concat([one.rows.with_columns(text) for one, text in zip(done, texts, strict=True)])
    failed = [rejects(one.failed, STAGE, status="failed") for one in done]
    return close_stage(project, STAGE, "glan/lists", nodes.height * params.queries, kept, failed)


def _query(stage: ModelStage, nodes: pl.DataFrame, params: Glan, number: int) -> Told | None:
    """The same prompts with another seed: what a model names once by chance, another list may lack."""
    ids = [record_id(discipline_id=node, query=number) for node in nodes["id"]]
    prompts = [stage.tokens.chat(render("glan_list", params.lang, discipline=name)) for name in nodes[params.lang]]
    rows = nodes.select(
        pl.Series("id", ids, dtype=pl.String),
        pl.col("id").alias("discipline_id"),
        pl.col("path").alias("source"),
        pl.lit(number).alias("query"),
        pl.Series("prompt", prompts, dtype=pl.String),
    )
    sampling = Sampling(
        params.list_tokens,
        params.temperature,
        params.top_p,
        params.repetition_penalty,
        seed_of(params.seed, "list", number),
    )
    return ask(stage, rows, sampling, lambda _, text, finish: whole_lines(text, finish), params.attempts)
