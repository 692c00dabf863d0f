"""Questions with their answers as pairs, without what an evaluation set holds. No model runs here."""

from collections.abc import Callable
from typing import Any

import polars as pl

from kun.backtranslate import phrases
from kun.corpus.evals import EvalGrams
from kun.params import Glan
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, absent, split_by_rules
from kun.tables.shards import read_dataset

STAGE = "glan/pairs"


def pairs(project: Project, params: Glan, evals: EvalGrams) -> dict[str, Any]:
    """Join questions and answers, apply the rules, decontaminate; data/glan/pairs. Nothing else joins the disciplines."""
    rows = _joined(project)
    split = split_by_rules(with_features(rows, evals), rules(params))
    kept = split.kept.with_columns(
        instruction="question",
        input=pl.lit(""),
        output="answer",
        method=pl.lit("glan"),
        licence=pl.lit(params.licence),
        **dict.fromkeys(("p_good", "copy_rate", "support"), pl.lit(None, dtype=pl.Float64)),
    )
    dropped = rejects(split.dropped, STAGE, excerpt="answer")
    return close_stage(project, STAGE, "glan/pairs", rows.height, kept, [dropped], eval_items=len(evals.ids))


def with_features(rows: pl.DataFrame, evals: EvalGrams) -> pl.DataFrame:
    """Add what the rules look at."""

    def each(find: Callable[[str], str]) -> pl.Series:
        return pl.Series([find(text) for text in rows["answer"]], dtype=pl.String)

    both = (f"{question}\n{answer}" for question, answer in rows.select("question", "answer").iter_rows())
    return rows.with_columns(
        found_marker=each(lambda text: phrases.found(phrases.TEMPLATE_MARKERS, text)),
        found_refusal=each(lambda text: phrases.found(phrases.REFUSALS, text)),
        found_eval=pl.Series([evals.quote(text) or "" for text in both], dtype=pl.String),
        length=pl.col("answer").str.len_chars(),
    )


def rules(params: Glan) -> dict[str, Rule]:
    """Named rules, cheapest explanation first."""
    return {
        "answer_too_short": Rule(pl.col("length") >= params.min_answer, pl.col("length"), params.min_answer),
        "template_marker": absent("found_marker"),
        "refusal": absent("found_refusal"),
        "contaminated": absent("found_eval"),
    }


def _joined(project: Project) -> pl.DataFrame:
    paths = read_dataset(project.dataset("glan/nodes")).select(discipline_id="id", source="path")
    questions = read_dataset(project.dataset("glan/questions"), ["id", "discipline_id", "question"])
    rows = read_dataset(project.dataset("glan/answers"), ["id", "answer"])
    rows = rows.join(questions, on="id", how="left", maintain_order="left")
    return rows.join(paths, on="discipline_id", how="left", maintain_order="left")
