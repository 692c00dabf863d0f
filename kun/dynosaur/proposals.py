"""Step 2 of Dynosaur: a model proposes tasks for each dataset, once knowing its summary and once without it."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from kun.corpus.text import text_id
from kun.dynosaur.fields import sample
from kun.dynosaur.replies import reply_schema
from kun.engine.base import Sampling
from kun.engine.schema import check_schema
from kun.errors import ModelError
from kun.params import Dynosaur, Engine
from kun.project import Project
from kun.prompts import render
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, split_finished, within_context, writing_stage

STAGE = "dynosaur/proposals"
SUMMARY = 4
"""The summary may have so many times the characters of a value."""


def proposals(project: Project, params: Dynosaur, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Ask for tasks of data/dynosaur/datasets; data/dynosaur/proposals. None on helper ranks and after a pilot."""
    return propose(project, read_dataset(project.dataset("dynosaur/datasets")), params, engine, pilot)


def propose(
    project: Project, datasets: pl.DataFrame, params: Dynosaur, engine: Engine, pilot: Pilot | None = None
) -> dict[str, Any] | None:
    """`proposals` of a given table of datasets."""
    stage = writing_stage(project, STAGE, engine, params.model, pilot)
    asked, unfit = _requests(datasets, params, stage)
    fitting, too_long = within_context(
        asked, asked["prompt"].to_list(), stage.tokens, engine.context - params.max_new_tokens
    )
    fitting = fitting.with_columns(pl.Series("n_prompt", stage.tokens.count(fitting["prompt"].to_list()), pl.Int64))
    sampling = Sampling(
        params.max_new_tokens, params.temperature, repetition_penalty=params.repetition_penalty, seed=params.seed
    )
    results = stage.generate(fitting["prompt"].to_list(), sampling, fitting["schema"].to_list())
    if results is None:
        return None
    answered, failed = split_finished(fitting, results.rename({"text": "reply"}), stage.failures)
    return close_stage(
        project,
        STAGE,
        STAGE,
        asked.height + unfit.height,
        answered,
        [
            rejects(unfit, STAGE, excerpt="source"),
            rejects(too_long, STAGE, excerpt="prompt"),
            rejects(failed, STAGE, status="failed", excerpt="prompt"),
        ],
    )


def prompts_of(dataset: Mapping[str, Any], params: Dynosaur) -> dict[str, str]:
    """Variant -> the model's user turn; no `aware` one without a summary. No licence, address or category is shown."""
    rows = sample(
        [json.loads(row) for row in dataset["rows"]], dataset["fields"], params.prompt_rows, params.prompt_chars
    )
    told = {
        "dataset": dataset["name"],
        "summary": dataset["summary"][: SUMMARY * params.prompt_chars],  # the unaware prompt has no place for it
        "fields": json.dumps(dataset["fields"], ensure_ascii=False),
        "rows": " ".join(json.dumps(row, ensure_ascii=False) for row in rows),
    }
    variants = [variant for variant in params.variants if variant == "unaware" or dataset["summary"]]
    return {variant: render(f"dynosaur_{variant}", dataset["lang"], **told) for variant in variants}


def _requests(datasets: pl.DataFrame, params: Dynosaur, stage: ModelStage) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A row for each dataset and variant with its prompt and schema; those that no schema can be made for as dropped rows."""
    rows, unfit = [], []
    for dataset in datasets.iter_rows(named=True):
        schema = reply_schema(dataset["fields"] if params.constrain == "fields" else [])
        fault = _fault(schema)
        for variant, prompt in prompts_of(dataset, params).items():
            row = {"id": text_id(f"{dataset['name']}\n{variant}"), "source": dataset["name"], "variant": variant}
            if fault:
                unfit.append(row | {"reason": "field_names", "value": fault, "threshold": "a JSON schema"})
            else:
                rows.append(row | {"prompt": stage.tokens.chat(prompt), "schema": schema})
    known = ("id", "source", "variant")
    return (
        pl.DataFrame(rows, schema=dict.fromkeys((*known, "prompt", "schema"), pl.String)),
        pl.DataFrame(unfit, schema=dict.fromkeys((*known, "reason", "value", "threshold"), pl.String)),
    )


def _fault(schema: str) -> str:
    """Why no text can be held to a schema: names of fields that it cannot take."""
    try:
        check_schema(schema)
    except ModelError as error:
        return str(error)
    return ""
