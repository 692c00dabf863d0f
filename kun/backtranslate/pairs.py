"""Step 6 of Kun: the threshold of the judge, and rules on the finished pairs. No model runs here."""

import re
from collections.abc import Callable, Container
from functools import cache, partial
from typing import Any

import polars as pl

from kun.backtranslate import phrases
from kun.backtranslate.measures import distinct_share, repeated_unit
from kun.corpus.evals import EvalGrams
from kun.corpus.letters import bare
from kun.corpus.text import by_source, cjk_share
from kun.params import Ingest, Judge, Pairs
from kun.project import Project
from kun.schemas.schema import Schema
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, absent, split_by_rules
from kun.tables.shards import read_dataset

LONG = 100  # characters from which the share of distinct 4-grams says something
MIN_INSTRUCTION = 4  # characters left after trimming; what is shorter asks for nothing, and the gate refuses it
FEATURES: Schema = {
    "echo": pl.Boolean,
    "found_marker": pl.String,
    "found_refusal": pl.String,
    "found_keyword": pl.String,
    "found_mention": pl.String,
    "found_eval": pl.String,
    "distinct": pl.Float64,  # share of distinct 4-grams; 1.0 of a short answer
    "cjk": pl.Float64,
    "length": pl.Int64,
}
"""What the rules look at beside the columns of the tables."""
Make = Callable[[], list[Any]]
WHITE_RUN = re.compile(r"\s{5,}")


def pairs(project: Project, params: Pairs, judge: Judge, ingest: Ingest, evals: EvalGrams) -> dict[str, Any]:
    """Join instruction, answer and score, apply every output rule; data/pairs."""
    polished = read_dataset(project.dataset("polished"))
    split = split_by_rules(with_features(joined(project, polished), evals), rules(params, judge))
    dropped = rejects(split.dropped, "pairs", excerpt="answer")
    return close_stage(project, "pairs", "pairs", polished.height, finished(split.kept, ingest), [dropped])


def finished(kept: pl.DataFrame, ingest: Ingest) -> pl.DataFrame:
    """Rows that passed every rule, as pairs."""
    return kept.with_columns(
        output="answer",
        input=pl.lit(""),
        method=pl.lit("kun"),
        licence=by_source(ingest.licences, "unknown", pl.String),
    )


def trim_answer(answer: str) -> str:
    """Strip white space and a closing sentence that sends the reader elsewhere, unless nothing else would remain."""
    trimmed = phrases.HEDGING_TAIL.sub("", answer.strip()).strip()
    if trimmed and trimmed[-1] not in "。！？.!?…”」）)`":
        trimmed += "。" if trimmed != answer.strip() else ""
    return trimmed or answer.strip()


def trim_instruction(instruction: str) -> str | None:
    """Undo two faults of small models; None when the instruction cannot be saved.

    What follows a run of five or more white-space characters is dropped; an instruction that repeats a line becomes that
    line when it begins with it (as the reference implementation does).
    """
    instruction = WHITE_RUN.split(instruction.strip())[0].strip()
    lines = [line for line in instruction.splitlines() if line.strip()]
    repeated = [line for line in lines if lines.count(line) > 1]
    if not repeated:
        return instruction
    longest = max(repeated, key=len)
    return longest.strip() if instruction.startswith(longest) else None


def with_features(rows: pl.DataFrame, evals: EvalGrams) -> pl.DataFrame:
    """Trim instruction and answer and add what the rules look at."""
    trimmed = [
        pl.Series(name, _each(rows, name, trim), pl.String)
        for name, trim in (("instruction", trim_instruction), ("answer", trim_answer))
    ]
    return features(rows.with_columns(trimmed), evals)


def features(rows: pl.DataFrame, evals: EvalGrams, wanted: Container[str] = FEATURES) -> pl.DataFrame:
    """Add what the rules look at to trimmed rows: all of FEATURES, or only those that are wanted."""

    def found(pattern: re.Pattern[str]) -> Make:
        return lambda: _each(rows, "answer", partial(phrases.found, pattern))

    make: dict[str, Make] = {
        "echo": lambda: [bare(a) == bare(i or "") for a, i in rows.select("answer", "instruction").iter_rows()],
        "found_marker": found(phrases.TEMPLATE_MARKERS),
        "found_refusal": found(phrases.REFUSALS),
        "found_keyword": found(phrases.REFUSAL_WORDS),
        "found_mention": found(phrases.MENTIONS_TEXT),
        "found_eval": lambda: _each(rows, "answer", lambda text: evals.quote(text) or ""),
        "distinct": lambda: _each(rows, "answer", lambda text: distinct_share(text) if len(text) > LONG else 1.0),
        "cjk": lambda: rows.select(cjk_share(pl.col("answer"))).to_series().to_list(),
        "length": lambda: rows["answer"].str.len_chars().to_list(),
    }
    return rows.with_columns(pl.Series(name, make[name](), kind) for name, kind in FEATURES.items() if name in wanted)


def _each(rows: pl.DataFrame, column: str, value: Callable[[str], Any]) -> list[Any]:
    return [value(text) for text in rows[column]]


def rules(params: Pairs, judge: Judge) -> dict[str, Rule]:
    """Named rules; the judge's threshold first, for it is the one that users move."""
    refusal = "found_refusal" if params.refusals == "anchored" else "found_keyword"
    longest, asked = params.max_repeats, pl.col("instruction").str.len_chars()
    repeat = _repeat(longest)
    return {
        "judge_threshold": Rule(pl.col("p_good") >= judge.threshold, pl.col("p_good").round(4), judge.threshold),
        "empty_output": Rule(pl.col("finish") != "empty", pl.col("finish"), "not empty"),
        "cut_off": Rule(pl.col("finish") == "stop", pl.col("finish"), "stop"),
        "instruction_repeats_itself": Rule(pl.col("instruction").is_not_null(), pl.lit("a line stands twice"), "none"),
        "instruction_too_short": Rule(asked >= MIN_INSTRUCTION, asked, MIN_INSTRUCTION),
        "answer_echoes": Rule(pl.col("echo").not_(), pl.lit("instruction and answer are the same"), "not the same"),
        "answer_too_short": Rule(pl.col("length") >= params.min_chars, pl.col("length"), params.min_chars),
        "answer_not_chinese": Rule(pl.col("cjk") >= params.min_cjk_share, pl.col("cjk").round(3), params.min_cjk_share),
        "template_marker": absent("found_marker"),
        "refusal": absent(refusal),
        "mentions_text": absent("found_mention"),
        "repetition": Rule(repeat == "", repeat, f"at most {longest} in a row"),
        "monotonous": Rule(
            pl.col("distinct") >= params.min_distinct_4gram, pl.col("distinct").round(3), params.min_distinct_4gram
        ),
        "unsupported": Rule(pl.col("support") >= params.min_support, pl.col("support").round(3), params.min_support),
        "contaminated": absent("found_eval"),
    }


@cache
def _repeat(longest: int) -> pl.Expr:
    """One expression for each limit: rules that are the same are then seen to be."""
    return pl.col("answer").map_elements(lambda text: repeated_unit(text, longest), return_dtype=pl.String)


def joined(project: Project, polished: pl.DataFrame) -> pl.DataFrame:
    """Rows of data/polished with `instruction`, `p_good` and `source`."""
    for name, columns in (
        ("instructions", ["id", "instruction"]),
        ("judged", ["id", "p_good"]),
        ("corpus", ["id", "source"]),
    ):
        table = read_dataset(project.dataset(name), columns)
        polished = polished.join(table, on="id", how="left", maintain_order="left")
    return polished
