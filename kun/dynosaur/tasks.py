"""Step 3 of Dynosaur: tasks read from the replies, filtered, and held against the rows of their dataset. No model runs here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from kun.corpus.letters import bare
from kun.corpus.text import text_id
from kun.dynosaur.filters import PROPOSED, valid_tasks
from kun.dynosaur.labels import Outputs, listed, outputs_of
from kun.dynosaur.replies import parse_reply, task_fields
from kun.engine.records import Refusal
from kun.params import Dynosaur
from kun.project import Project
from kun.prompts import render
from kun.schemas.dynosaur import DYNOSAUR_TASK
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset

STAGE = "dynosaur/tasks"
SHOWN = 10
"""First rows in which an instruction is looked for; prompts show no more than a few."""
SEPARATORS = {"zh": "、", "en": ", "}
LOOKED = DYNOSAUR_TASK | {"reason": pl.String, "value": pl.String, "threshold": pl.String}
REFUSED = ("id", "source", "reason", "value", "threshold", "excerpt")


def tasks(project: Project, params: Dynosaur) -> dict[str, Any]:
    """Valid tasks of data/dynosaur/proposals; data/dynosaur/tasks. A row in is a proposed task, or a reply without any."""
    datasets = read_dataset(project.dataset("dynosaur/datasets"))
    replies = read_dataset(project.dataset("dynosaur/proposals"))
    proposed, unread = proposed_tasks(replies, dict(datasets.select("name", "fields").iter_rows()))
    split = valid_tasks(proposed, params)
    fitting, unfit = _against_rows(split.kept, datasets, params)
    return close_stage(
        project,
        STAGE,
        STAGE,
        proposed.height + unread.height,
        fitting,
        [
            rejects(unread, STAGE, excerpt="excerpt"),
            rejects(split.dropped, STAGE, excerpt="instruction"),
            rejects(unfit, STAGE, excerpt="instruction"),
        ],
    )


def proposed_tasks(replies: pl.DataFrame, known: Mapping[str, list[str]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """PROPOSED rows of all replies, and as dropped rows the replies and tasks that cannot be read.

    `known`: fields of each dataset that tasks may use.
    """
    rows: list[dict[str, Any]] = []
    unread: list[dict[str, str]] = []
    for reply in replies.iter_rows(named=True):
        read = parse_reply(reply["reply"])
        if isinstance(read, Refusal):
            reason = "cut_off" if reply["finish"] == "length" else read.reason
            unread.append(_unread(reply["id"], reply["source"], reason, read.detail, reply["reply"]))
            continue
        for number, task in enumerate(read, 1):
            found = task_fields(task)
            if found is None:
                place = f"{reply['id']}#{number}"
                unread.append(_unread(place, reply["source"], "malformed_task", f"task {number}", str(task)))
                continue
            own = {"id": task_id(reply["source"], found), "reply": reply["id"], "known": known[reply["source"]]}
            rows.append(own | {"source": reply["source"], "variant": reply["variant"]} | found)
    return pl.DataFrame(rows, schema=PROPOSED), pl.DataFrame(unread, schema=dict.fromkeys(REFUSED, pl.String))


def task_id(source: str, task: Mapping[str, Any]) -> str:
    """Of dataset, instruction as proposed and fields: the same in every run, whatever other datasets there are."""
    return text_id(json.dumps([source, task["instruction"], task["input_fields"], task["output_fields"]]))


def with_labels(instruction: str, lang: str, outputs: Outputs, params: Dynosaur) -> str:
    """The instruction, with a sentence that names the labels where they are few and short."""
    if not listed(outputs.labels, params):
        return instruction
    return render("dynosaur_labels", lang, instruction=instruction, labels=SEPARATORS[lang].join(outputs.labels))


def copied(instruction: str, rows: Sequence[Mapping[str, Any]]) -> Outputs | None:
    """A refusal of an instruction that is no request but a value of the first rows, or part of one; else None.

    Small models take the rows of the prompt for what they are to write.
    """
    letters = bare(instruction)
    values = (value for row in rows[:SHOWN] for value in row.values() if isinstance(value, str))
    source = next((value for value in values if letters in bare(value)), None)
    return None if source is None else Outputs("text", (), "copied_from_rows", source, "a request")


def _unread(place: str, source: str, reason: str, value: str, excerpt: str) -> dict[str, str]:
    return dict(zip(REFUSED, (place, source, reason, value, "up to three tasks", excerpt), strict=True))


def _against_rows(tasks: pl.DataFrame, datasets: pl.DataFrame, params: Dynosaur) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tasks whose outputs can be used, with kind, labels and final instruction, and the others as dropped rows."""
    known = {row["name"]: row for row in datasets.iter_rows(named=True)}
    looked: list[dict[str, Any]] = []
    for (source,), group in tasks.group_by("source", maintain_order=True):
        dataset = known[str(source)]
        rows = [json.loads(row) for row in dataset["rows"]]
        for task in group.iter_rows(named=True):
            field = task["output_fields"][0]
            outputs = copied(task["instruction"], rows) or outputs_of(rows, field, params)
            looked.append(
                {"id": task["id"], "source": source, "variant": task["variant"], "input_fields": task["input_fields"]}
                | {"instruction": with_labels(task["instruction"], dataset["lang"], outputs, params)}
                | {"output_field": field, "kind": outputs.kind, "labels": list(outputs.labels)}
                | {"lang": dataset["lang"], "step": dataset["step"]}
                | {"reason": outputs.reason, "value": outputs.value, "threshold": outputs.threshold}
            )
    frame = pl.DataFrame(looked, schema=LOOKED)
    return frame.filter(pl.col("reason") == ""), frame.filter(pl.col("reason") != "")
