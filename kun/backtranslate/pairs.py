"""Step 6 of Kun: the threshold of the judge, and rules on the finished pairs. No model runs here."""

import re
from collections.abc import Callable
from typing import Any

import polars as pl

from kun.backtranslate import phrases
from kun.backtranslate.measures import distinct_share, repeated_unit
from kun.corpus.evals import EvalGrams
from kun.corpus.letters import bare
from kun.corpus.text import by_source, cjk_share
from kun.params import Ingest, Judge, Pairs
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, absent, split_by_rules
from kun.tables.shards import read_dataset

LONG = 100  # characters from which the share of distinct 4-grams says something
MIN_INSTRUCTION = 4  # characters left after trimming; what is shorter asks for nothing, and the gate refuses it
WHITE_RUN = re.compile(r"\s{5,}")


def pairs(project: Project, params: Pairs, judge: Judge, ingest: Ingest, evals: EvalGrams) -> dict[str, Any]:
    """Join instruction, answer and score, apply every output rule; data/pairs."""
    polished = read_dataset(project.dataset("polished"))
    split = split_by_rules(with_features(_joined(project, polished), evals), rules(params, judge))
    kept = split.kept.with_columns(
        output="answer",
        input=pl.lit(""),
        method=pl.lit("kun"),
        licence=by_source(ingest.licences, "unknown", pl.String),
    )
    dropped = rejects(split.dropped, "pairs", excerpt="answer")
    return close_stage(project, "pairs", "pairs", polished.height, kept, [dropped])


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

    def each(column: str, value: Callable[[str], Any], dtype: type[pl.DataType] = pl.String) -> pl.Series:
        return pl.Series([value(text) for text in rows[column]], dtype=dtype)

    rows = rows.with_columns(instruction=each("instruction", trim_instruction), answer=each("answer", trim_answer))
    return rows.with_columns(
        echo=pl.Series(
            [bare(a) == bare(i or "") for a, i in rows.select("answer", "instruction").iter_rows()], dtype=pl.Boolean
        ),
        found_marker=each("answer", lambda text: phrases.found(phrases.TEMPLATE_MARKERS, text)),
        found_refusal=each("answer", lambda text: phrases.found(phrases.REFUSALS, text)),
        found_keyword=each("answer", lambda text: phrases.found(phrases.REFUSAL_WORDS, text)),
        found_mention=each("answer", lambda text: phrases.found(phrases.MENTIONS_TEXT, text)),
        found_eval=each("answer", lambda text: evals.quote(text) or ""),
        distinct=each("answer", lambda text: distinct_share(text) if len(text) > LONG else 1.0, pl.Float64),
        cjk=cjk_share(pl.col("answer")),
        length=pl.col("answer").str.len_chars(),
    )


def rules(params: Pairs, judge: Judge) -> dict[str, Rule]:
    """Named rules; the judge's threshold first, for it is the one that users move."""
    refusal = "found_refusal" if params.refusals == "anchored" else "found_keyword"
    longest, asked = params.max_repeats, pl.col("instruction").str.len_chars()
    repeat = pl.col("answer").map_elements(lambda text: repeated_unit(text, longest), return_dtype=pl.String)
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


def _joined(project: Project, polished: pl.DataFrame) -> pl.DataFrame:
    for name, columns in (
        ("instructions", ["id", "instruction"]),
        ("judged", ["id", "p_good"]),
        ("corpus", ["id", "source"]),
    ):
        table = read_dataset(project.dataset(name), columns)
        polished = polished.join(table, on="id", how="left", maintain_order="left")
    return polished
