"""Held-out tests of the two models: does the label model find the instruction, does the judge know good from bad."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from kun.backtranslate.judge import judge_prompt, verdict_margins
from kun.backtranslate.label import label_prompt
from kun.backtranslate.measures import character_f1
from kun.engine.base import Sampling
from kun.params import Engine, Evaluate, Judge, Label
from kun.project import Project
from kun.tables.shards import read_dataset, write_json
from kun.train.corrupt import CORRUPTIONS, UNSEEN, Corruption
from kun.work.stage import ModelStage

Margins = np.ndarray[Any, np.dtype[np.float64]]
Scores = Sequence[float] | Margins
CURVE = 20  # steps of the threshold from 0 to 1, of the curves in the report
THRESHOLDS = (0.3, 0.5, 0.7, 0.9)  # a table to choose `judge.threshold` from


def evaluate(project: Project, params: Evaluate, label: Label, judge: Judge, engine: Engine) -> dict[str, Any] | None:
    """Write reports/evaluate.json from the held-out seeds; None on helper ranks."""
    seeds = read_dataset(project.dataset("seeds")).filter(pl.col("split") == "heldout").sort("id")
    labelled = _label_model(project, seeds, params, label, engine)
    judged = _judge_model(project, seeds, params, judge, engine)
    if labelled is None or judged is None:
        return None
    report = {"label": labelled, "judge": judged}
    write_json(project.root / "reports" / "evaluate.json", report)
    return report


def auc(good: Scores, bad: Scores) -> float:
    """Probability that a random good item scores above a random bad one; ties count half."""
    above = np.asarray(good)[:, None] - np.asarray(bad)[None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def precision_at(good: Scores, bad: Scores, threshold: float) -> dict[str, float]:
    """Precision and recall of `score >= threshold`, as if good and bad were equally frequent."""
    recall = float(np.mean(np.asarray(good) >= threshold))
    false_rate = float(np.mean(np.asarray(bad) >= threshold))
    passed = recall + false_rate
    return {"precision": round(recall / passed, 4) if passed else 0.0, "recall": round(recall, 4)}


def curve(good: Scores, bad: Scores) -> list[dict[str, float]]:
    """At thresholds from 0 to 1: recall and false_rate, the shares of good and of bad items that pass."""
    asked = [step / CURVE for step in range(CURVE + 1)]
    return [{"threshold": at, "recall": _passing(good, at), "false_rate": _passing(bad, at)} for at in asked]


def _passing(scores: Scores, threshold: float) -> float:
    return round(float(np.mean(np.asarray(scores) >= threshold)), 4)


def best_threshold(good: Scores, bad: Scores) -> float:
    """The threshold that separates best: highest recall minus false positive rate (Youden's J)."""
    candidates = sorted({*good, *bad})
    return max(candidates, key=lambda t: np.mean(np.asarray(good) >= t) - np.mean(np.asarray(bad) >= t))


def _label_model(
    project: Project, seeds: pl.DataFrame, params: Evaluate, label: Label, engine: Engine
) -> dict[str, Any] | None:
    rows = seeds.filter(pl.col("input") == "").head(params.label_rows)
    stage = ModelStage(project, "evaluate-label", engine, adapter="label")
    prompts = [stage.tokens.chat(label_prompt(text, label.lang)) for text in rows["output"]]
    written = stage.generate(prompts, Sampling(label.max_new_tokens, 0.0, 1.0, label.repetition_penalty))
    if written is None:
        return None
    true = rows["instruction"].to_list()
    rng = random.Random(params.seed)
    others = [rng.choice([t for j, t in enumerate(true) if j != i] or true) for i in range(len(true))]
    own = [character_f1(text or "", t) for text, t in zip(written["text"], true, strict=True)]
    random_f1 = [character_f1(other, t) for other, t in zip(others, true, strict=True)]
    return {
        "rows": rows.height,
        "character_f1": round(float(np.mean(own)), 4),
        "random_character_f1": round(float(np.mean(random_f1)), 4),
        "closer_than_random": round(float(np.mean([a > b for a, b in zip(own, random_f1, strict=True)])), 4),
    }


def _judge_model(
    project: Project, seeds: pl.DataFrame, params: Evaluate, judge: Judge, engine: Engine
) -> dict[str, Any] | None:
    good = seeds["instruction"].head(params.judge_rows).to_list()
    report: dict[str, Any] = {"rows": len(good)}
    # The base gets the rubric with examples, its best; kinds of faults are seen or unseen to the trained judge alone.
    for name, adapter, rules, kinds in (
        ("trained", "chat", judge, CORRUPTIONS | UNSEEN),
        ("zero_shot", None, replace(judge, rubric="full"), CORRUPTIONS),
    ):
        stage = ModelStage(project, f"evaluate-judge-{name}", engine, adapter=adapter)
        texts = [*good, *_spoilt(good, kinds, params.seed)]
        scored = verdict_margins(stage, [stage.tokens.chat(judge_prompt(text, rules)) for text in texts])
        if scored is None:
            continue  # a helper rank: the main one waits for it at the next model too
        margins = scored.fill_null(0.0).to_numpy().reshape(1 + len(kinds), len(good))
        report[name] = _judge_report(margins[0], dict(zip(kinds, margins[1:], strict=True)), judge.calibrate)
    return report if "zero_shot" in report else None


def _judge_report(good: Margins, by_kind: dict[str, Margins], calibrate: float) -> dict[str, Any]:
    """Figures of one judge; all arrays hold one margin per held-out instruction, in the same order."""
    seen = np.stack([margins for kind, margins in by_kind.items() if kind in CORRUPTIONS])
    unseen = [margins for kind, margins in by_kind.items() if kind in UNSEEN]
    low, high = auc_interval(good, seen)
    bias = float(np.quantile(good, 1 - calibrate)) if calibrate else 0.0
    p_good, p_bad = probabilities(good, bias), probabilities(seen.ravel(), bias)
    best = best_threshold(p_good, p_bad)
    return {
        "auc": round(auc(good, seen.ravel()), 4),
        "auc_low": round(low, 4),
        "auc_high": round(high, 4),
        **({"auc_unseen_kinds": round(auc(good, np.concatenate(unseen)), 4)} if unseen else {}),
        "auc_by_kind": {kind: round(auc(good, margins), 4) for kind, margins in by_kind.items()},
        "calibration_margin": round(bias, 4),
        "at_threshold": {str(t): precision_at(p_good, p_bad, t) for t in THRESHOLDS},
        "best_threshold": round(best, 4),
        "at_best_threshold": precision_at(p_good, p_bad, best),
        "curve": curve(p_good, p_bad),
    }


def auc_interval(good: Margins, spoilt: Margins, draws: int = 1000) -> tuple[float, float]:
    """95% bootstrap interval of the AUC: `good` is [instructions], `spoilt` [kinds, instructions], drawn together."""
    rng = np.random.default_rng(0)
    rows = rng.integers(len(good), size=(draws, len(good)))
    values = [auc(good[drawn], spoilt[:, drawn].ravel()) for drawn in rows]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def probabilities(margins: Scores, bias: float) -> list[float]:
    """p_good of each margin (log P(【好】) - log P(【差】)), 0.5 at `bias`."""
    return [float(1 / (1 + np.exp(bias - margin))) for margin in margins]


def _spoilt(good: Sequence[str], kinds: dict[str, Corruption], seed: int) -> list[str]:
    """Every instruction spoilt in every way, kind by kind."""
    rng = random.Random(seed)
    return [spoil(text, rng) for spoil in kinds.values() for text in good]
