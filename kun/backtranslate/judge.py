"""Step 4 of Kun: the chat model as a strict judge of instructions. Scores only; thresholds apply later.

`verdict` compares the log-probabilities of the two verdict strings, so no reply has to be parsed. `sampled` (the paper) and
`pair_score` (Humpback) generate and parse; a reply that does not parse is counted as unparsable, never guessed.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from kun.engine.base import Sampling
from kun.errors import InputError
from kun.params import Engine, Judge
from kun.project import Project
from kun.prompts import render
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, split_finished, within_context, within_limit

GOOD, BAD = "【好】", "【差】"
SCORE = re.compile(r"(?:评分|score)\s*[:：]\s*(\d{1,4})\s*(?:分|/\s*5)?\s*[。.]?\s*$", re.IGNORECASE)


def judge_prompt(instruction: str, params: Judge) -> str:
    """The judge's user turn, in training and in use: the rubric first, so that its keys and values are shared."""
    return render(f"judge_{params.rubric}", params.lang, instruction=instruction)


def judge(project: Project, params: Judge, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Score data/instructions; data/judged. None on helper ranks and after a pilot."""
    rows = read_dataset(project.dataset("instructions"))
    texts = read_dataset(project.dataset("corpus"), ["id", "text", "source"])
    rows = rows.join(texts, on="id", how="left", maintain_order="left")
    stage = ModelStage(project, "judge", engine, adapter="chat", pilot=pilot)
    chosen, beyond = within_limit(rows, params.limit)
    prompts = [stage.tokens.chat(_message(row, params)) for row in chosen.iter_rows(named=True)]
    fitting, too_long = within_context(chosen, prompts, stage.tokens, engine.context - params.max_new_tokens)
    told = _ask(stage, fitting["prompt"].to_list(), params)
    if told is None:
        return None
    told_by = scores(told, params, calibration(project, params))
    done, failed = split_finished(fitting, told_by, stage.failures)
    return close_stage(
        project,
        "judge",
        "judged",
        rows.height,
        done,
        [
            rejects(beyond, "judge", excerpt="instruction"),
            rejects(too_long, "judge", excerpt="instruction"),
            rejects(failed, "judge", status="failed", excerpt="instruction"),
        ],
        unparsable=done.filter(pl.col("verdict") == "unparsable").height,
    )


def verdict_margins(stage: ModelStage, prompts: Sequence[str]) -> pl.Series | None:
    """log P(【好】) - log P(【差】) after each rendered prompt, null where a row failed; None on helper ranks."""
    scored = stage.choices(prompts, [GOOD, BAD])
    return None if scored is None else _margins(scored)


def scores(told: pl.DataFrame, params: Judge, bias: float) -> pl.DataFrame:
    """p_good, verdict, margin and reply from what the model told of each row: log-probabilities or a reply."""
    if params.mode == "verdict":
        return verdict_scores(_margins(told), bias)
    parse = parse_verdict if params.mode == "sampled" else parse_score
    values = [None if reply is None else parse(reply) for reply in told["text"]]
    return pl.DataFrame(
        {
            "p_good": values,
            "verdict": [_named(value, reply) for value, reply in zip(values, told["text"], strict=True)],
            "margin": [None] * len(values),
            "reply": told["text"],
        },
        schema={"p_good": pl.Float64, "verdict": pl.String, "margin": pl.Float64, "reply": pl.String},
    )


def verdict_scores(margins: pl.Series, bias: float) -> pl.DataFrame:
    """p_good, verdict, margin and an empty reply; p_good is 0.5 at `bias`."""
    margin = pl.col("margin")
    return pl.DataFrame({"margin": margins}).select(
        p_good=1 / (1 + (bias - margin).exp()),
        verdict=pl.when(margin.is_null()).then(None).when(margin >= bias).then(pl.lit("good")).otherwise(pl.lit("bad")),
        margin=margin,
        reply=pl.when(margin.is_not_null()).then(pl.lit("")),
    )


def calibration(project: Project, params: Judge) -> float:
    """The margin at which p_good is 0.5, from reports/evaluate.json; 0 without calibration and in the sampled modes.

    Raises InputError when `judge.calibrate` asks for it and the evaluation has not run.
    """
    if not params.calibrate or params.mode != "verdict":
        return 0.0
    report = project.root / "reports" / "evaluate.json"
    if not report.is_file():
        raise InputError(f"{report} not found; run `kun evaluate` first, or set judge.calibrate to 0")
    return float(json.loads(report.read_text(encoding="utf-8"))["judge"]["trained"]["calibration_margin"])


def parse_verdict(reply: str) -> float | None:
    """1.0 for 【好】 alone, 0.0 for 【差】 alone; both or neither is unparsable (the paper drops all but the first)."""
    good, bad = GOOD in reply, BAD in reply
    return None if good == bad else float(good)


def parse_score(reply: str) -> float | None:
    """Score / 5 from the last line; None when it states no score of 1..5."""
    lines = reply.strip().splitlines()
    found = SCORE.search(lines[-1]) if lines else None
    return int(found.group(1)) / 5 if found and 1 <= int(found.group(1)) <= 5 else None


def _message(row: dict[str, Any], params: Judge) -> str:
    if params.mode == "pair_score":
        return render("pair_score", params.lang, instruction=row["instruction"], text=row["text"])
    return judge_prompt(row["instruction"], params)


def _ask(stage: ModelStage, prompts: list[str], params: Judge) -> pl.DataFrame | None:
    if params.mode == "verdict":
        return stage.choices(prompts, [GOOD, BAD])
    return stage.generate(prompts, Sampling(params.max_new_tokens, params.temperature, seed=params.seed))


def _margins(told: pl.DataFrame) -> pl.Series:
    both = pl.col("log_probabilities").list
    return told.select(margin=both.get(0) - both.get(1))["margin"]


def _named(value: float | None, reply: str | None) -> str | None:
    if reply is None:
        return None
    return "unparsable" if value is None else "good" if value >= 0.5 else "bad"
