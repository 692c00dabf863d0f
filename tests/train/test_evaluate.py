import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.backtranslate.judge import BAD, GOOD, judge_prompt
from kun.backtranslate.label import label_prompt
from kun.backtranslate.measures import character_f1
from kun.engine.base import Sampling
from kun.params import Params
from kun.project import Project
from kun.train.corrupt import CORRUPTIONS, UNSEEN
from kun.train.evaluate import CURVE, auc, auc_interval, best_threshold, curve, evaluate, precision_at, probabilities
from kun.train.sft import train
from kun.work.engines import load_engine
from tests.made import FAKE, seed_pairs, seeds, store

SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=12)


@given(SCORES, SCORES)
def test_auc_is_the_share_of_pairs_in_the_right_order(good: list[float], bad: list[float]) -> None:
    won = sum(1.0 if g > b else 0.5 if g == b else 0.0 for g in good for b in bad)
    assert auc(good, bad) == pytest.approx(won / (len(good) * len(bad)))
    assert auc(good, bad) + auc(bad, good) == pytest.approx(1)


@given(SCORES, SCORES)
def test_the_best_threshold_is_not_beaten_by_any_other(good: list[float], bad: list[float]) -> None:
    def gain(threshold: float) -> float:
        return sum(g >= threshold for g in good) / len(good) - sum(b >= threshold for b in bad) / len(bad)

    best = gain(best_threshold(good, bad))
    assert all(gain(threshold) <= best + 1e-12 for threshold in (0.0, 0.05, 0.1, 0.2, 0.25, 0.4, 0.5, 0.7, 0.9, 1.0))


def test_precision_counts_good_and_bad_as_equally_frequent() -> None:
    good, bad = [0.9, 0.8, 0.2, 0.6], [0.7, 0.1] * 50
    assert precision_at(good, bad, 0.5) == {"precision": 0.6, "recall": 0.75}  # 0.75 / (0.75 + 0.5)
    assert precision_at(good, bad, 0.95) == {"precision": 0.0, "recall": 0.0}, "nothing passed"
    assert precision_at(good, bad, 0.6) == precision_at(good, bad, 0.55), "at the threshold passes"


def test_the_curve_falls_from_all_to_none() -> None:
    told = curve([0.9, 0.6, 1.0], [0.6, 0.1])
    assert [one["threshold"] for one in told] == [step / CURVE for step in range(CURVE + 1)]
    assert told[0] == {"threshold": 0.0, "recall": 1.0, "false_rate": 1.0}
    assert told[12] == {"threshold": 0.6, "recall": 1.0, "false_rate": 0.5}, "at the threshold is enough"
    assert told[-1] == {"threshold": 1.0, "recall": 0.3333, "false_rate": 0.0}
    for name in ("recall", "false_rate"):
        assert [one[name] for one in told] == sorted((one[name] for one in told), reverse=True)


def test_the_interval_holds_the_true_auc_as_often_as_it_says() -> None:
    """Two normal scores one deviation apart: 0.760."""
    rng = np.random.default_rng(1)

    def interval(rows: int) -> tuple[float, float]:
        return auc_interval(rng.normal(1, 1, rows), rng.normal(0, 1, (3, rows)), draws=200)

    intervals = [interval(40) for _ in range(100)]
    assert 0.88 <= np.mean([low <= 0.760 <= high for low, high in intervals]) <= 0.99
    low, high = interval(640)
    assert high - low < np.mean([high - low for low, high in intervals]) / 2


def test_the_report_is_made_of_the_models_own_scores(project: Project, params: Params) -> None:
    """Each figure is computed anew from the engine and the definitions, on trained adapters."""
    params = replace(
        params,
        train=replace(params.train, label=replace(params.train.label, epochs=1)),
        label=replace(params.label, max_new_tokens=12),
        evaluate=replace(params.evaluate, judge_rows=6, label_rows=5),
        judge=replace(params.judge, calibrate=0.8),
    )
    store(project, "seeds", seeds(seed_pairs(18), heldout=8))
    train(project, "label", params)
    train(project, "chat", params)
    report = evaluate(project, params.evaluate, params.label, params.judge, params.engine)
    assert report == json.loads((project.root / "reports" / "evaluate.json").read_text(encoding="utf-8"))
    assert report is not None
    heldout = seeds(seed_pairs(18), heldout=8)[10:].sort("id")

    rows = heldout.head(5)
    model = load_engine(project, params.engine, "label")
    prompts = [model.chat(label_prompt(text, "zh")) for text in rows["output"]]  # type: ignore[attr-defined]
    written = model.generate(prompts, Sampling(12, repetition_penalty=params.label.repetition_penalty))
    own = [character_f1(done.text, true) for done, true in zip(written, rows["instruction"], strict=True)]
    assert report["label"]["rows"] == 5
    assert report["label"]["character_f1"] == pytest.approx(sum(own) / 5, abs=1e-4)
    assert 0 <= report["label"]["closer_than_random"] <= 1
    assert 0 < report["label"]["random_character_f1"] < 0.6, "a true instruction, but of another row"

    good = heldout["instruction"].head(6).to_list()
    for name, adapter, rubric in (("trained", "chat", "short"), ("zero_shot", None, "full")):
        judge = load_engine(project, params.engine, adapter)
        asked = [judge.chat(judge_prompt(text, replace(params.judge, rubric=rubric))) for text in good]  # type: ignore[attr-defined]
        margins = [yes - bad for yes, bad in judge.choices(asked, [GOOD, BAD])]
        told = report["judge"][name]
        bias = told["calibration_margin"]
        p_good = probabilities(margins, bias)
        assert p_good == pytest.approx([1 / (1 + math.exp(bias - margin)) for margin in margins])
        assert bias == pytest.approx(sorted(margins)[1], abs=1e-3), "the least that 0.8 of them reach"
        assert told["at_threshold"]["0.5"]["recall"] == pytest.approx(5 / 6, abs=1e-4)
        others = {threshold: told["at_threshold"][threshold] for threshold in ("0.3", "0.7", "0.9")}
        for threshold, figures in others.items():
            if min(abs(p - float(threshold)) for p in p_good) < 0.02:
                continue  # batches of another shape may put such a row on the other side
            passed = sum(p >= float(threshold) for p in p_good) / len(p_good)
            assert figures["recall"] == pytest.approx(passed, abs=1e-4)
        assert ("auc_unseen_kinds" in told) == (name == "trained"), "the base has seen no kind"
        assert set(told["auc_by_kind"]) == {*CORRUPTIONS, *(UNSEEN if name == "trained" else ())}
        for figure, kinds in (("auc", CORRUPTIONS), ("auc_unseen_kinds", UNSEEN if name == "trained" else {})):
            if kinds:
                mean = sum(told["auc_by_kind"][kind] for kind in kinds) / len(kinds)
                assert told[figure] == pytest.approx(mean, abs=1e-4), "every instruction in every form"
        assert told["auc_low"] <= told["auc"] <= told["auc_high"]
    assert report["judge"]["rows"] == 6
    assert report["judge"]["trained"] != report["judge"]["zero_shot"], "two models, two results"
    assert not set(UNSEEN) & set(CORRUPTIONS)


def test_only_held_out_seeds_are_asked(project: Project, params: Params) -> None:
    report = evaluate(project, params.evaluate, params.label, params.judge, FAKE)
    assert report is not None
    assert (report["label"]["rows"], report["judge"]["rows"]) == (3, 3)
