"""Step 4 of Dynosaur: the tasks filled in with the rows of their datasets. No model runs here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from kun.corpus.evals import EvalGrams
from kun.corpus.text import text_id, unit_hash
from kun.dynosaur.fields import is_scalar
from kun.dynosaur.labels import output_text
from kun.params import Dynosaur
from kun.project import Project
from kun.schemas.dynosaur import DYNOSAUR_PAIR
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, absent, split_by_rules
from kun.tables.shards import read_dataset

STAGE = "dynosaur/pairs"
NAMED = {"en": "{} is '{}'. ", "zh": "{}：“{}”。"}
"""One of several input fields; the English one is the reference's."""
QUOTED = {"en": ('"', '"', ", "), "zh": ("“", "”", "、")}
CHOICES = ("choice", "option", "candidate", "选项")
"""In the name of a list: its strings are lettered."""
FEATURES: dict[str, Any] = DYNOSAUR_PAIR | {"odd": pl.String, "length": pl.Int64, "turn": pl.Float64}
NO_ROWS = ("id", "source", "instruction", "reason", "value", "threshold")


def pairs(project: Project, params: Dynosaur, evals: EvalGrams) -> dict[str, Any]:
    """Instances of data/dynosaur/tasks; data/dynosaur/pairs. A row in is a task with a row, or a task without rows."""
    datasets = read_dataset(project.dataset("dynosaur/datasets"))
    tasks = read_dataset(project.dataset("dynosaur/tasks"))
    filled, without = [pl.DataFrame(schema=FEATURES)], []
    known = {row["name"]: row for row in datasets.iter_rows(named=True)}
    for (source,), group in tasks.group_by("source", maintain_order=True):
        dataset = known[str(source)]
        rows = [(text_id(row), json.loads(row)) for row in dataset["rows"]]
        for task in group.iter_rows(named=True):
            if not rows:
                without.append([task["id"], source, task["instruction"], "no_rows", "a card alone", ">= 1"])
            filled.append(pl.DataFrame([instance(task, *row, dataset, params) for row in rows], schema=FEATURES))
    made = pl.concat(filled)
    split = split_by_rules(_with_places(_with_evals(made, evals)), rules(params))
    capped = split_by_rules(_with_turns(split.kept), cap(params))
    empty = pl.DataFrame(without, schema=dict.fromkeys(NO_ROWS, pl.String), orient="row")
    kept = capped.kept
    return close_stage(
        project,
        STAGE,
        STAGE,
        made.height + empty.height,
        kept,
        [
            rejects(empty, STAGE, excerpt="instruction"),
            rejects(split.dropped, STAGE, excerpt="input"),
            rejects(capped.dropped, STAGE, excerpt="input"),
        ],
        tasks=kept["task"].n_unique(),
        licences=dict(kept.group_by("licence").len().sort("licence").iter_rows()),
    )


def instance(
    task: Mapping[str, Any], row_id: str, row: Mapping[str, Any], dataset: Mapping[str, Any], params: Dynosaur
) -> dict[str, Any]:
    """A row of FEATURES; `odd` names what makes it no instance, "" when nothing does."""
    given, odd = input_text(row, task["input_fields"], task["lang"])
    output = output_text(row.get(task["output_field"]))
    return {
        "id": text_id(f"{task['id']}\n{row_id}"),
        "instruction": task["instruction"],
        "input": given[: params.max_chars].strip(),
        "output": output,
        "source": task["source"],
        "method": "dynosaur",
        "licence": dataset["licence"],
        "task": task["id"],
        "origin": dataset["website"] or dataset["origin"],
        "odd": odd,
        "length": len(output),
        "turn": unit_hash(params.seed, task["id"], row_id),
    }


def input_text(row: Mapping[str, Any], fields: Sequence[str], lang: str) -> tuple[str, str]:
    """The input that a row gives: the value of one field, or each of several under its name; and the field that cannot be shown.

    A field that the row leaves empty is left out.
    """
    shown = {}
    for field in fields:
        value = row.get(field)
        text = _value(field, value, lang)
        if text is None:
            return "", f"{field}: {type(value).__name__}"
        if text:
            shown[field] = text
    if len(fields) == 1:
        return next(iter(shown.values()), ""), ""
    return "".join(NAMED[lang].format(field, text) for field, text in shown.items()).strip(), ""


def rules(params: Dynosaur) -> dict[str, Rule]:
    """What an instance must be."""
    return {
        "wrong_type": absent("odd"),
        "empty_input": Rule(pl.col("input") != "", pl.col("input"), "not empty"),
        "empty_output": Rule(pl.col("output") != "", pl.col("output"), "not empty"),
        "output_too_long": Rule(pl.col("length") <= params.max_chars, pl.col("length"), params.max_chars),
        "contaminated": absent("found_eval"),
        "duplicate": Rule(pl.col("first"), pl.col("output"), "once"),
    }


def cap(params: Dynosaur) -> dict[str, Rule]:
    """Of a task with many instances those with the lowest hashes stay."""
    limit = params.max_instances_per_task
    return {"limit": Rule(pl.col("place") <= limit, pl.col("place"), limit)}


def _value(field: str, value: object, lang: str) -> str | None:
    """A value as text, "" for null, None for what has no text form."""
    if value is None:
        return ""
    if is_scalar(value):
        return str(value).strip()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    if any(word in field.lower() for word in CHOICES):
        return " ".join(f"{chr(ord('A') + place)}. {item}" for place, item in enumerate(value[:26]))
    opening, closing, between = QUOTED[lang]
    return between.join(f"{opening}{item}{closing}" for item in value)


def _with_evals(made: pl.DataFrame, evals: EvalGrams) -> pl.DataFrame:
    texts = made.select(pl.concat_str("input", "output", separator="\n")).to_series()
    return made.with_columns(found_eval=pl.Series([evals.quote(text) or "" for text in texts], dtype=pl.String))


def _with_places(made: pl.DataFrame) -> pl.DataFrame:
    return made.with_columns(first=pl.struct("instruction", "input", "output").is_first_distinct())


def _with_turns(kept: pl.DataFrame) -> pl.DataFrame:
    return kept.with_columns(place=pl.struct("turn", "id").rank("ordinal").over("task").cast(pl.Int64))
