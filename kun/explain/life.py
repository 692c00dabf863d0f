"""The life of a record: what each stage saw, asked, wrote and decided."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from kun.backtranslate.judge import judge_prompt
from kun.backtranslate.label import label_prompt
from kun.backtranslate.polish import polish_prompt
from kun.explain.find import unknown
from kun.explain.values import RuleValue, clean_values, instruction_values, pair_values
from kun.lazily import ledgers, scan
from kun.params import Params
from kun.project import Project
from kun.schemas.datasets import STAGES
from kun.tables.shards import readable

CLEANED = ("deduped", "decontaminated", "corpus")
"""Datasets whose rows are those of data/cleaned, fewer of them: texts are not read four times."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One stage of a record's life."""

    stage: str
    outcome: str
    """kept, dropped or failed."""
    verdict: Row = field(default_factory=dict)
    """The ledger's row, of a record that was not kept."""
    row: Row = field(default_factory=dict)
    """The record as the stage's dataset has it."""
    prompt: str = ""
    """What a model was asked, without the chat template."""
    rules: list[RuleValue] = field(default_factory=list)
    """What each rule saw, with the parameters of today."""


def life(project: Project, params: Params, record: str) -> list[Step]:
    """Each stage that the record reached, in order, up to the one that dropped it; InputError when it reached none."""
    rows, told = _rows(project, record), _verdicts(project, record)
    if not rows and not told:
        raise unknown(project, record)
    steps = []
    for stage, dataset in STAGES.items():
        verdict = told.get(stage, {})
        row = rows.get(dataset) or ({"excerpt": verdict["excerpt"]} if verdict else {})
        if row:
            outcome = "kept" if dataset in rows else verdict["status"]
            prompt, rules = _prompt(stage, rows, params), _values(stage, project, rows, params)
            steps.append(Step(stage, outcome, {} if dataset in rows else verdict, row, prompt, rules))
    return steps


def _rows(project: Project, record: str) -> dict[str, Row]:
    """Dataset -> the record's row in it."""
    tables = {dataset: table for dataset in STAGES.values() if (table := scan(project, dataset)) is not None}
    with readable(project.root / "data"):
        own = {name: table.select("id") if name in CLEANED else table for name, table in tables.items()}
        found = pl.collect_all([table.filter(pl.col("id") == record) for table in own.values()])
    rows = {dataset: frame.row(0, named=True) for dataset, frame in zip(tables, found, strict=True) if frame.height}
    return {dataset: rows["cleaned"] if dataset in CLEANED else row for dataset, row in rows.items()}


def _verdicts(project: Project, record: str) -> dict[str, Row]:
    """Stage -> the record's row in its ledger."""
    with readable(project.root / "data" / "rejects"):
        found = ledgers(project).filter(pl.col("id") == record).collect()
    return {row["stage"]: row for row in found.iter_rows(named=True)}


def _prompt(stage: str, rows: dict[str, Row], params: Params) -> str:
    """What the stage's model was asked; "" for stages without one, and where the input is gone."""
    text = rows.get("corpus", {}).get("text")
    instruction = rows.get("instructions", {}).get("instruction")
    if stage == "label" and text:
        return label_prompt(text, params.label.lang)
    if stage == "judge" and instruction and params.judge.mode != "pair_score":
        return judge_prompt(instruction, params.judge)
    if stage == "polish" and text and instruction:
        return polish_prompt(text, instruction, params.polish.lang)
    return ""


def _values(stage: str, project: Project, rows: dict[str, Row], params: Params) -> list[RuleValue]:
    if stage == "clean" and "ingested" in rows:
        return clean_values(project, params, rows["ingested"])
    if stage == "instructions" and "labelled" in rows:
        return instruction_values(params, rows["labelled"] | {"text": rows.get("corpus", {}).get("text")})
    if stage == "pairs" and "polished" in rows:
        joined = rows["polished"] | {
            "instruction": rows.get("instructions", {}).get("instruction"),
            "p_good": rows.get("judged", {}).get("p_good"),
            "source": rows.get("corpus", {}).get("source"),
        }
        return pair_values(params, joined)
    return []
