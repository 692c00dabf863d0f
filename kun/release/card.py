"""README.md of a release: a dataset card in the form of the Hugging Face hub. The same inputs give the same bytes."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import yaml

import kun
from kun.params import Params
from kun.project import Project
from kun.release import facts
from kun.release.files import render
from kun.release.formats import messages_record
from kun.release.funnel import funnel_frame, read_counts, source_frame
from kun.tables.shards import write_text

HUB_LICENCES = {
    "apache-2.0", "mit", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0", "odc-by", "odbl", "pddl", "bsd-3-clause",
}  # fmt: skip
"""Identifiers that the hub knows and that say all there is to say."""
FREE_OUTPUT = {"apache-2.0", "mit", "bsd-3-clause"}
"""Licences of models that put no terms on what the model writes."""
TERMS = {"gemma": "https://ai.google.dev/gemma/terms"}
DEMO_BASE = "gemma3-270m-"
TEMPLATE = Path(__file__).with_name("card.md.j2")
SAMPLES = 3
SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B", "10B<n<100B")
TOLD_PARAMS = (
    "model.base", "model.revision", "clean.min_chars", "clean.max_tokens", "clean.private", "clean.simplify",
    "dedup.threshold", "decontaminate.ngram", "corpus.low_percentile", "corpus.high_percentile", "corpus.limit",
    "train.method", "train.learning_rate", "train.label.epochs", "train.chat.epochs", "train.chat.tasks",
    "label.temperature", "instructions.dangling", "judge.mode", "judge.floor", "judge.threshold", "polish.temperature",
    "polish.max_new_tokens", "pairs.min_chars", "pairs.min_support", "pairs.min_distinct_4gram", "pairs.refusals",
    "select.votes", "select.filters", "select.rank", "select.top", "select.diversity",
)  # fmt: skip
"""What a reader wants to know first; the commit has the rest."""


def write_card(project: Project, params: Params, pairs: pl.DataFrame, folder: Path) -> None:
    """Write folder/README.md about `pairs` (SELECTED, not empty) from the reports of the stages that have run."""
    base, counts, served = facts.base_model(project), read_counts(project), facts.served(params.engine)
    licences = licence_terms(pairs, base, bool(served))
    funnel, sources = funnel_frame(counts), source_frame(counts)
    text = render(
        TEMPLATE,
        front_matter=front_matter(params, pairs.height, licences),
        name=params.release.name,
        rows=pairs.height,
        funnel=funnel.rows(named=True),
        source_stages=sources.columns[1:],
        sources=sources.rows(),
        pairs_by_source=_counted(pairs, "source"),
        methods=_counted(pairs, "method", "licence"),
        licences=_counted(pairs, "licence"),
        decontaminated=next((one for one in counts if one["stage"] == "decontaminate"), None),
        selected=next((one for one in counts if one["stage"] == "select"), None),
        edited=pairs.filter(pl.col("edited_by") != "").height,
        base=base,
        served=served,
        demo=not served and base is not None and base["name"].startswith(DEMO_BASE),
        terms=None if base is None else TERMS.get(base["licence"].lower()),
        adapters=facts.training(project),
        gates=facts.gates(project, params.mix.sources.values()),
        evaluation=facts.evaluation(project),
        means=facts.means(project, pairs.lazy()),
        samples=[json.dumps(row, ensure_ascii=False, indent=2) for row in _samples(pairs)],
        params=params,
        told_params=_told(params),
        commit=facts.commit(project),
        version=kun.__version__,
    )
    write_text(folder / "README.md", text)


def front_matter(params: Params, rows: int, terms: list[str]) -> str:
    """The YAML that the hub reads, without the `---` lines."""
    values = {
        "language": sorted({params.label.lang, params.polish.lang}),
        **_licence_fields(terms),
        "task_categories": ["text-generation"],
        "size_categories": [size_category(rows)],
        "pretty_name": params.release.name,
        "tags": ["instruction-tuning", "synthetic", "back-translation"],
        # Parquet only: `datasets` reads all configurations of one folder with the reader of the first.
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]},
        ],
    }
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False)


def size_category(rows: int) -> str:
    """The hub's size classes: 999 rows are n<1K, 1,000 are 1K<n<10K."""
    return next((name for power, name in enumerate(SIZES, 3) if rows < 10**power), "n>100B")


def licence_terms(pairs: pl.DataFrame, base: facts.Facts | None, served: bool = False) -> list[str]:
    """Every licence that binds the pairs, in lower case: of the sources and of a base model that binds its output.

    Of what a server calls its models nobody stated one; the base may be among them.
    """
    terms = {str(licence).lower() for licence in pairs["licence"].unique()} | ({"unknown"} if served else set())
    if base is not None and (model := base["licence"].lower() or "unknown") not in FREE_OUTPUT:
        terms.add(model)
    return sorted(terms)


def _licence_fields(terms: list[str]) -> dict[str, str]:
    """The hub's own identifier for one known licence, `other` with a name for anything else."""
    if len(terms) == 1 and terms[0] in HUB_LICENCES:
        return {"license": terms[0]}
    names = (re.sub(r"[^a-z0-9.]+", "-", term).strip("-") or "unnamed" for term in terms)
    fields = {"license": "other", "license_name": "-and-".join(names)}
    links = [TERMS[term] for term in terms if term in TERMS]
    return fields | ({"license_link": links[0]} if links else {})


def _counted(pairs: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return pairs.group_by(columns).len().sort(columns).rows()


def _samples(pairs: pl.DataFrame) -> list[dict[str, Any]]:
    """The first rows by id: ids are hashes, so this is a fair sample and always the same."""
    return [messages_record(row) for row in pairs.sort("id").head(SAMPLES).iter_rows(named=True)]


def _told(params: Params) -> str:
    values = asdict(params)
    values["model"]["base"] = facts.public_name(params.model.base)
    told: dict[str, Any] = {}
    for key in TOLD_PARAMS:
        value: Any = values
        for part in key.split("."):
            value = value[part]
        told[key] = value
    return yaml.safe_dump(told, allow_unicode=True, sort_keys=False, default_flow_style=None)
