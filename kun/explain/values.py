"""What each rule of a stage sees in one record, and what it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from kun.backtranslate import instructions, pairs
from kun.corpus.clean import looked_at, unsafe_words
from kun.corpus.evals import EvalGrams
from kun.corpus.rules import rules as clean_rules
from kun.params import Params
from kun.project import Project
from kun.schemas.corpus import TEXT
from kun.schemas.pairs import LABELLED, POLISHED
from kun.tables.rules import Rule

NO_EVALS = EvalGrams([], 1)
"""Reading all evaluation items takes longer than the rest; a hit stands in the ledger."""


@dataclass(frozen=True)
class RuleValue:
    """One rule and one record."""

    rule: str
    passed: bool
    value: str
    threshold: str


def rule_values(row: pl.DataFrame, rules: Mapping[str, Rule]) -> list[RuleValue]:
    """Of a frame with one row, every rule in order: the ledger names the first that is broken."""
    columns = [
        expression
        for name, rule in rules.items()
        for expression in (
            rule.keep.fill_null(False).alias(f"keep {name}"),
            rule.value.cast(pl.String).alias(f"see {name}"),
        )
    ]
    seen = row.select(columns).row(0, named=True)
    return [
        RuleValue(name, seen[f"keep {name}"], seen[f"see {name}"] or "", str(rule.threshold))
        for name, rule in rules.items()
    ]


def clean_values(project: Project, params: Params, row: Mapping[str, Any]) -> list[RuleValue]:
    """Of a row of data/ingested; lines that a whole site has in common are not taken out here, nor tokens counted."""
    unsafe = unsafe_words(project.root / params.clean.unsafe_words)
    seen, _ = looked_at(pl.DataFrame([row], schema=TEXT), params.clean, unsafe)
    return rule_values(seen, clean_rules(params.clean))


def instruction_values(params: Params, row: Mapping[str, Any]) -> list[RuleValue]:
    """Of a row of data/labelled with its `text`."""
    frame = pl.DataFrame([row], schema=LABELLED | {"text": pl.String})
    found = rule_values(instructions.with_features(frame, NO_EVALS), instructions.rules(params.instructions))
    return [value for value in found if value.rule != "contaminated"]


def pair_values(params: Params, row: Mapping[str, Any]) -> list[RuleValue]:
    """Of a row of data/polished with its `instruction`, `p_good` and `source`."""
    schema = POLISHED | {"instruction": pl.String, "p_good": pl.Float64, "source": pl.String}
    frame = pairs.with_features(pl.DataFrame([row], schema=schema), NO_EVALS)
    found = rule_values(frame, pairs.rules(params.pairs, params.judge))
    return [value for value in found if value.rule != "contaminated"]
