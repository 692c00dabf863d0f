"""Step 3 of Kun: rules on the generated instructions."""

import re
from collections.abc import Callable, Container
from typing import Any

import polars as pl

from kun.backtranslate import phrases
from kun.backtranslate.measures import longest_common, repeated_unit
from kun.corpus.evals import EvalGrams
from kun.corpus.neardup import without_near_duplicates
from kun.params import Instructions
from kun.project import Project
from kun.schemas.schema import Schema
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, absent, split_by_rules
from kun.tables.shards import read_dataset

FEATURES: Schema = {
    "found_marker": pl.String,
    "found_dangling": pl.String,
    "found_keyword": pl.String,
    "found_mode": pl.String,
    "found_repeat": pl.String,
    "found_eval": pl.String,
    "common": pl.Int64,  # characters of the longest substring that instruction and text share
    "length": pl.Int64,
}
"""What the rules look at beside the columns of the tables."""
Make = Callable[[], list[Any]]


def instructions(project: Project, params: Instructions, evals: EvalGrams) -> dict[str, Any]:
    """Trim and filter data/labelled; data/instructions. `evals` are checked once more, for a model can recite them."""
    labelled = read_dataset(project.dataset("labelled"))
    texts = read_dataset(project.dataset("corpus"), ["id", "text", "source"])
    rows = with_features(labelled.join(texts, on="id", how="left", maintain_order="left"), evals)
    split = split_by_rules(rows, rules(params))
    unique, repeated = without_near_duplicates(
        split.kept, split.kept["instruction"].to_list(), params.dup_threshold, params.seed
    )
    dropped = [rejects(part, "instructions", excerpt="instruction") for part in (split.dropped, repeated)]
    return close_stage(project, "instructions", "instructions", labelled.height, unique, dropped)


def with_features(rows: pl.DataFrame, evals: EvalGrams) -> pl.DataFrame:
    """Trim the instruction and add what the rules look at; no other field changes."""
    return features(rows.with_columns(pl.col("instruction").map_elements(str.strip, return_dtype=pl.String)), evals)


def features(rows: pl.DataFrame, evals: EvalGrams, wanted: Container[str] = FEATURES) -> pl.DataFrame:
    """Add what the rules look at to trimmed rows with their `text`: all of FEATURES, or only those that are wanted."""

    def found(pattern: re.Pattern[str]) -> Make:
        return lambda: [phrases.found(pattern, text) for text in rows["instruction"]]

    make: dict[str, Make] = {
        "found_marker": found(phrases.TEMPLATE_MARKERS),
        "found_dangling": found(phrases.DANGLING),
        "found_keyword": found(phrases.KEYWORDS),
        "found_mode": found(phrases.OTHER_MODES),
        "found_repeat": lambda: [repeated_unit(text, 3) for text in rows["instruction"]],
        "found_eval": lambda: [evals.quote(text) or "" for text in rows["instruction"]],
        "common": lambda: [longest_common(i, t or "") for i, t in rows.select("instruction", "text").iter_rows()],
        "length": lambda: rows["instruction"].str.len_chars().to_list(),
    }
    return rows.with_columns(pl.Series(name, make[name](), kind) for name, kind in FEATURES.items() if name in wanted)


def rules(params: Instructions) -> dict[str, Rule]:
    """Named rules, cheapest explanation first."""
    copied = pl.col("common") / pl.col("length")
    dangling = "found_dangling" if params.dangling == "anchored" else "found_keyword"
    return {
        "empty_output": Rule(pl.col("finish") != "empty", pl.col("finish"), "not empty"),
        "cut_off": Rule(pl.col("finish") == "stop", pl.col("finish"), "stop"),
        "instruction_too_short": Rule(pl.col("length") >= params.min_chars, pl.col("length"), params.min_chars),
        "instruction_too_long": Rule(pl.col("length") <= params.max_chars, pl.col("length"), params.max_chars),
        "template_marker": absent("found_marker"),
        "dangling_reference": absent(dangling),
        "other_modality": absent("found_mode"),
        "repetition": absent("found_repeat"),
        "copied_from_text": Rule(
            (copied <= params.max_copied_share) | (pl.col("common") < params.min_copied_chars),
            copied.round(3),
            params.max_copied_share,
        ),
        "contaminated": absent("found_eval"),
    }
