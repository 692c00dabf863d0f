"""Step 3 of Kun: rules on the generated instructions."""

from collections.abc import Callable
from typing import Any

import polars as pl

from kun.backtranslate import phrases
from kun.backtranslate.measures import longest_common, repeated_unit
from kun.corpus.evals import EvalGrams
from kun.corpus.neardup import without_near_duplicates
from kun.params import Instructions
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, absent, split_by_rules
from kun.tables.shards import read_dataset


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
    rows = rows.with_columns(pl.col("instruction").map_elements(str.strip, return_dtype=pl.String))
    pairs = list(rows.select("instruction", "text").iter_rows())
    return rows.with_columns(
        found_marker=_found(rows, lambda text: phrases.found(phrases.TEMPLATE_MARKERS, text)),
        found_dangling=_found(rows, lambda text: phrases.found(phrases.DANGLING, text)),
        found_keyword=_found(rows, lambda text: phrases.found(phrases.KEYWORDS, text)),
        found_mode=_found(rows, lambda text: phrases.found(phrases.OTHER_MODES, text)),
        found_repeat=_found(rows, lambda text: repeated_unit(text, 3)),
        found_eval=_found(rows, lambda text: evals.quote(text) or ""),
        common=pl.Series([longest_common(i, t or "") for i, t in pairs], dtype=pl.Int64),
        length=pl.col("instruction").str.len_chars(),
    )


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


def _found(rows: pl.DataFrame, find: Callable[[str], str]) -> pl.Series:
    return pl.Series([find(text) for text in rows["instruction"]], dtype=pl.String)
