"""Step 1 of Dynosaur: cards and first rows of datasets, and which of them may and can be used. No model runs here."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from kun.corpus.items import Reject
from kun.corpus.language import languages
from kun.corpus.text import text_id
from kun.dynosaur.cards import class_labels, strings
from kun.dynosaur.fields import fields_of, is_identifier, modality, named_labels
from kun.dynosaur.hub import read_hub
from kun.dynosaur.licences import judge_licence
from kun.dynosaur.sources import Found, Source, read_folders, read_list, read_steps
from kun.params import Dynosaur
from kun.project import Project
from kun.schemas.dynosaur import DYNOSAUR_DATASET
from kun.tables.ledger import close_stage, rejects
from kun.tables.sources import warn_unknown

STAGE = "dynosaur/datasets"
MIN_FIELDS = 2
TRANSLATION = ("translation", "bitext", "parallel corpus", "翻译", "平行语料")
LANGUAGE_ROWS = 20
"""Rows whose text tells the language where the card does not."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Collected:
    """All that was found: datasets to use, and a ledger row for everything else."""

    kept: pl.DataFrame
    ledger: pl.DataFrame


def datasets(project: Project, params: Dynosaur) -> dict[str, Any]:
    """Collect the metadata of all datasets; data/dynosaur/datasets."""
    found = collect(project, params)
    rows_in = found.kept.height + found.ledger.height
    return close_stage(project, STAGE, STAGE, rows_in, found.kept, [found.ledger], licences=_by_licence(found.kept))


def collect(project: Project, params: Dynosaur) -> Collected:
    """Read and judge every dataset; nothing is written."""
    path = project.root / params.path
    steps = read_steps(path)
    newest = max(steps.values(), default=0) + 1
    kept: list[Row] = []
    refused: list[Row] = []
    names: set[str] = set()
    met: set[str] = set()  # kept or refused: a licence may have been given for any of them
    for item in _found(project, params):
        if isinstance(item, Reject):
            if "/" not in item.origin:  # else a file of one
                met.add(item.origin)
            refused.append(
                _ledger_row(item.origin, item.reason, item.value, "", item.origin.split("/")[0], item.excerpt)
            )
            continue
        met.add(item.name)
        judged = judge(item, params)
        if judged.reason == "" and item.name in names:
            judged = Judged("duplicate_name", item.name, "one dataset of a name")
        if judged.reason:
            name = f"{item.origin}#{item.name}"
            refused.append(
                _ledger_row(name, judged.reason, judged.value, judged.threshold, item.name, item.card.summary)
            )
            continue
        names.add(item.name)
        kept.append(judged.row | {"step": steps.get(item.name, newest)})
    warn_unknown("dynosaur.licences", params.licences, met)
    ledger = rejects(pl.DataFrame(refused, schema=dict.fromkeys(LEDGER, pl.String)), STAGE, excerpt="excerpt")
    return Collected(pl.DataFrame(kept, schema=DYNOSAUR_DATASET), ledger)


LEDGER = ("id", "reason", "value", "threshold", "source", "excerpt")


@dataclass(frozen=True)
class Judged:
    """A reason to leave a dataset out, or its row."""

    reason: str
    value: str = ""
    threshold: str = ""
    row: Row = field(default_factory=dict)


def judge(source: Source, params: Dynosaur) -> Judged:
    """The first reason against a dataset: licence, rows, fields, modality, language; else its row without `step`."""
    front = source.card.front
    named = params.licences.get(source.name)
    licence = judge_licence([named] if named else strings(front.get("license", front.get("licence"))), params.allow)
    if licence.reason:
        reason = licence.reason if front or licence.licence else "no_front_matter"
        return Judged(reason, licence.licence, ", ".join(params.allow))
    if not source.rows and not source.card_only:
        return Judged("no_rows", "0 rows", ">= 1")
    if pictured := modality(source.columns):
        return Judged("other_modality", pictured, "text")
    labels = class_labels(front, source.config)
    rows = [named_labels(row, labels) for row in source.rows]
    fields = [name for name in source.columns if not is_identifier(name)] if source.card_only else fields_of(rows)
    if len(fields) < MIN_FIELDS:
        told = f"usable: {', '.join(fields) or 'none'}; all: {', '.join(source.columns) or 'none'}"
        return Judged("too_few_fields", told, f">= {MIN_FIELDS} usable")
    language = language_of(strings(front.get("language")), source.card.summary, _texts(source, rows), params)
    if isinstance(language, Judged):
        return language
    lang, lang_from = language
    row: Row = {
        "name": source.name,
        "source": source.name,
        "origin": source.origin,
        "website": source.website,
        "licence": licence.licence,
        "noncommercial": licence.noncommercial,
        "lang": lang,
        "lang_from": lang_from,
        "categories": strings(front.get("task_categories")),
        "summary": source.card.summary,
        "fields": fields,
        "columns": source.columns,
        "rows": [json.dumps(row, ensure_ascii=False) for row in rows],
    }
    revision = text_id(json.dumps(row, ensure_ascii=False))
    return Judged("", row={"id": text_id(source.name), "revision": revision} | row)


def language_of(tags: list[str], summary: str, texts: list[str], params: Dynosaur) -> tuple[str, str] | Judged:
    """(language, where from), or why it is none of those wanted: by the card's tags, by the texts where it has none.

    Code counts as English, as in the reference. Several languages, or one that is not wanted: `translation` when the
    summary speaks of it, else `other_language`.
    """
    wanted = f"one of {', '.join(params.languages)}"
    short = {"en" if tag == "code" else tag.lower().split("-")[0].split("_")[0] for tag in tags}
    if len(short) == 1 and (lang := short.pop()) in params.languages:
        return lang, "card"
    if not tags:
        common: list[str] = languages(texts).mode().sort().to_list() if texts else []
        if common and common[0] in params.languages:
            return common[0], "text"
        return Judged("other_language", f"text: {', '.join(common) or 'none'}", wanted)
    said = next((word for word in TRANSLATION if word in summary.lower()), "")
    return Judged("translation" if said else "other_language", ", ".join(tags), wanted)


def _found(project: Project, params: Dynosaur) -> Iterator[Found]:
    yield from read_folders(project.root / params.path, params.max_rows)
    for name in params.cards:
        yield from read_list(project.root / name, name)
    for dataset in params.hub:
        yield from read_hub(dataset, params.max_rows)


def _texts(source: Source, rows: list[Row]) -> list[str]:
    """Strings of the first rows, a text each; of a card alone its summary."""
    texts = ["\n".join(value for value in row.values() if isinstance(value, str)) for row in rows[:LANGUAGE_ROWS]]
    if source.card_only and source.card.summary:
        return [source.card.summary]
    return [text for text in texts if text.strip()]


def _ledger_row(*values: str) -> Row:
    return dict(zip(LEDGER, values, strict=True))


def _by_licence(kept: pl.DataFrame) -> Mapping[str, int]:
    return dict(kept.group_by("licence").len().sort("licence").iter_rows())
