"""The gate of one dataset."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from kun.errors import GateFailed, InputError, KunError
from kun.gate.engine import Engine, Outcome
from kun.gate.facts import Facts, gather
from kun.gate.report import Finding, compose, explain, not_evaluated, of_fact, pooled, to_html
from kun.gate.suite import Expectation, Suite, load_suite, no_column
from kun.params import Check
from kun.project import Project
from kun.schemas.datasets import DATASETS
from kun.schemas.schema import Schema
from kun.tables.shards import shards, write_json, write_text

_STRUCTURE = {"expect_table_columns_to_match_ordered_list", "expect_column_values_to_be_of_type"}


def check(project: Project, dataset: str, params: Check) -> dict[str, Any]:
    """Hold `dataset` against its suite, one shard in memory at a time; write and return the report.

    Raises GateFailed, after writing, when the data broke an expectation; InputError when the dataset, its parent or
    the counts of its stage are missing; KunError when the suite itself is at fault.
    """
    if dataset not in DATASETS:
        near = difflib.get_close_matches(dataset, DATASETS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(DATASETS)}"
        raise KunError(f"no dataset `{dataset}`; {hint}")
    result = project.check(dataset)
    page = result.with_suffix(".html")
    for stale in (result, page):
        stale.unlink(missing_ok=True)  # no old pass may survive a check that ends in an error
    source = project.root / "expectations" / f"{dataset}.json"
    suite = load_suite(source, dataset)
    paths = shards(project.dataset(dataset))
    if suite.parent and (broken := _misfit(shards(project.dataset(suite.parent)), DATASETS[suite.parent])):
        raise InputError(f"{project.dataset(suite.parent)}: {broken}; run the stage that makes it again")
    problem = _misfit(paths, DATASETS[dataset])
    facts = Facts({}, {}) if problem else gather(project, suite, params.max_examples)
    engine = Engine(params.max_examples)
    findings = [
        *_check_rows(engine, f"{source}: rows", suite, paths, problem, params.max_examples),
        *_check_facts(engine, f"{source}: facts", suite, facts, problem),
    ]
    report = compose(suite, len(paths), facts.values, findings)
    write_json(result, report)
    write_text(page, to_html(report))
    if not report["success"]:
        raise GateFailed(explain(report, page))
    return report


def _misfit(paths: Sequence[Path], schema: Schema) -> str:
    """How the first bad shard differs from the schema, "" when all agree.

    Content is only looked at when this is "": a check of text on a column of numbers would be an engine error, and
    hide that it is the data which is wrong.
    """
    for path in paths:
        try:
            found = pl.read_parquet_schema(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{path} cannot be read ({error}); run the stage that makes it again") from None
        wrong = [
            f"{name} is {found[name]}, not {kind}" for name, kind in schema.items() if found.get(name, kind) != kind
        ]
        missing = [f"{name} is missing" for name in schema if name not in found]
        extra = [f"{name} is not in the schema" for name in found if name not in schema]
        if wrong or missing or extra or list(found) != list(schema):
            return f"{path.name}: {', '.join(wrong + missing + extra) or 'columns in another order'}"
    return ""


def _check_rows(
    engine: Engine, where: str, suite: Suite, paths: Sequence[Path], problem: str, max_examples: int
) -> list[Finding]:
    """Findings on the rows, in the order of the suite. A misfit limits them to the structure."""
    asked = {place: e for place, e in enumerate(suite.rows) if not problem or e.type in _STRUCTURE}
    seen: dict[int, list[Outcome]] = {}
    for path in paths:
        frame = pl.read_parquet(path)
        if frame.is_empty() and not problem:
            continue
        here = {place: e for place, e in asked.items() if not e.column or e.column in frame.columns}
        outcomes = engine.validate(where, frame, list(here.values()))
        for place, outcome in zip(here, outcomes, strict=True):
            seen.setdefault(place, []).append(outcome)
    return [
        pooled(e, "rows", seen[place], max_examples) if place in seen else _not_evaluated(e, "rows", problem)
        for place, e in enumerate(suite.rows)
    ]


def _check_facts(engine: Engine, where: str, suite: Suite, facts: Facts, problem: str) -> list[Finding]:
    """Findings on the facts, in the order of the suite."""
    if problem:
        return [_not_evaluated(e, "facts", problem) for e in suite.facts]
    for e in suite.facts:
        if e.column not in facts.values:
            raise KunError(f"{where}: {e.name}: {no_column(e.column, facts.values)}")
    outcomes = engine.validate(where, pl.DataFrame([facts.values]), suite.facts)
    return [
        of_fact(e, outcome, facts.values[e.column], facts.examples.get(e.column, []))
        for e, outcome in zip(suite.facts, outcomes, strict=True)
    ]


def _not_evaluated(expectation: Expectation, part: str, problem: str) -> Finding:
    """A misfit fails what it kept from being looked at; a dataset without rows leaves the verdict to the facts."""
    if problem:
        return not_evaluated(expectation, part, "failed", f"not evaluated, the columns are wrong: {problem}")
    return not_evaluated(expectation, part, "skipped", "skipped, the dataset has no rows")
