import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kun.backtranslate.judge import BAD, GOOD, judge, judge_prompt, parse_score, parse_verdict
from kun.errors import InputError
from kun.params import Judge
from kun.project import Project
from kun.schemas.pairs import INSTRUCTION
from kun.tables.shards import read_dataset, write_json
from kun.work.engines import load_engine
from kun.work.stage import ModelStage
from tests.made import FAKE, HF, PARAMS, changed, engine, ledger, pinned, prose, reasons, seed_pairs, store, texts

VERDICTS = [
    ("【好】", 1.0),
    ("【差】", 0.0),
    ("这条指令目标清楚。【好】", 1.0),
    ("【差】，因为含糊。", 0.0),
    ("【好】【差】", None),
    ("不是【差】，而是【好】", None),
    ("好", None),
    ("【 好 】", None),
    ("[好]", None),
    ("", None),
    (" \n", None),
]


@pytest.mark.parametrize(("reply", "p_good"), VERDICTS)
def test_acceptance_2_verdict_table(reply: str, p_good: float | None) -> None:
    """Only 【好】 alone passes; the rest is 差 or unparsable, and both fail any threshold above 0."""
    assert parse_verdict(reply) == p_good


@given(st.text("【】好差 。a", max_size=30))
def test_verdicts_follow_from_what_the_reply_contains(reply: str) -> None:
    expected = {(True, False): 1.0, (False, True): 0.0}.get((GOOD in reply, BAD in reply))
    assert parse_verdict(reply) == expected


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("理由充分。\n评分：5", 1.0),
        ("评分: 4分", 0.8),
        ("评分：3/5。", 0.6),
        ("Score: 1", 0.2),
        ("评分：2\n\n", 0.4),
        ("评分：5\n谢谢", None),  # not on the last line
        ("评分：0", None),
        ("评分：6", None),
        ("评分：10502", None),
        ("评分：4.5", None),
        ("5", None),
        ("评分：五", None),
        ("", None),
    ],
)
def test_scores_come_from_the_last_line_and_lie_in_1_to_5(reply: str, score: float | None) -> None:
    assert parse_score(reply) == score


@given(st.text("评分Score：: 0123456789/5分。.\n理由", max_size=40))
@example("评分：" + "9" * 5000)
def test_a_score_is_one_of_five_or_nothing(reply: str) -> None:
    assert parse_score(reply) in (None, 0.2, 0.4, 0.6, 0.8, 1.0)


def prepared(root: Path, base: Path, written: list[str]) -> Project:
    project = pinned(root, base)
    rows = store(project, "corpus", texts(prose(len(written))))
    store(project, "instructions", pl.DataFrame({"id": rows["id"], "instruction": written}, schema=INSTRUCTION))
    return project


WRITTEN = [instruction for instruction, _ in seed_pairs(12)]


def test_p_good_is_made_of_the_two_log_probabilities(tmp_path: Path, tiny_base: Path) -> None:
    """With the real, tiny model; the fake would be its own reference."""
    project = prepared(tmp_path, tiny_base, WRITTEN)
    params = changed(PARAMS.judge, mode="verdict")
    project.adapter("chat").mkdir(parents=True)
    for file in tiny_base.iterdir():  # a fully fine-tuned chat model that learned nothing
        (project.adapter("chat") / file.name).write_bytes(file.read_bytes())
    counts = judge(project, params, HF)
    assert counts is not None and counts["unparsable"] == 0
    judged = read_dataset(project.dataset("judged"))
    model = load_engine(project, HF, None)
    prompts = [model.chat(judge_prompt(text, params)) for text in WRITTEN]  # type: ignore[attr-defined]
    for row, (good, bad) in zip(judged.iter_rows(named=True), model.choices(prompts, [GOOD, BAD]), strict=True):
        assert row["margin"] == pytest.approx(good - bad, abs=1e-4)
        assert row["p_good"] == pytest.approx(math.exp(good) / (math.exp(good) + math.exp(bad)), abs=1e-5)
        assert row["verdict"] == ("good" if good >= bad else "bad")
        assert row["reply"] == ""
    assert judged["p_good"].n_unique() == len(WRITTEN)


def calibrated(project: Project, margin: float) -> None:
    write_json(project.root / "reports" / "evaluate.json", {"judge": {"trained": {"calibration_margin": margin}}})


def test_calibration_moves_p_good_and_not_the_margin(tmp_path: Path, tiny_base: Path) -> None:
    """p_good 0.5 and the verdict lie at the margin that the evaluation found; the order of rows is untouched."""
    project = prepared(tmp_path, tiny_base, WRITTEN)
    judge(project, changed(PARAMS.judge, calibrate=0.0), FAKE)
    plain = read_dataset(project.dataset("judged"))
    bias = float(plain["margin"][0])
    calibrated(project, bias)
    judge(project, changed(PARAMS.judge, calibrate=0.8), FAKE)
    moved = read_dataset(project.dataset("judged"))
    assert moved["margin"].equals(plain["margin"])
    assert moved["p_good"][0] == pytest.approx(0.5) and moved["verdict"][0] == "good"
    for margin, p_good, verdict in moved.select("margin", "p_good", "verdict").iter_rows():
        assert p_good == pytest.approx(1 / (1 + math.exp(bias - margin)))
        assert verdict == ("good" if margin >= bias else "bad")
    for margin, p_good in plain.select("margin", "p_good").iter_rows():
        assert p_good == pytest.approx(1 / (1 + math.exp(-margin)))


def test_calibration_needs_the_evaluation_and_only_for_verdicts(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base, WRITTEN)
    with pytest.raises(InputError, match=r"run `kun evaluate` first, or set judge\.calibrate to 0") as caught:
        judge(project, changed(PARAMS.judge, calibrate=0.8), FAKE)
    assert "\n" not in str(caught.value)
    counts = judge(project, changed(PARAMS.judge, calibrate=0.8, mode="sampled"), FAKE)
    assert counts is not None and counts["kept"] == len(WRITTEN)


def test_sampled_replies_are_kept_and_counted_when_unparsable(tmp_path: Path, tiny_base: Path) -> None:
    """The fake never writes a verdict: everything is unparsable, nothing is guessed, nothing is lost."""
    project = prepared(tmp_path, tiny_base, WRITTEN)
    for mode in ("sampled", "pair_score"):
        counts = judge(project, changed(PARAMS.judge, mode=mode), FAKE)
        assert counts is not None
        assert (counts["kept"], counts["unparsable"]) == (len(WRITTEN), len(WRITTEN))
        judged = read_dataset(project.dataset("judged"))
        assert set(judged["verdict"]) == {"unparsable"}
        assert judged["p_good"].null_count() == judged["margin"].null_count() == len(WRITTEN)
        assert all(judged["reply"]), "the raw reply can be read again"


def test_unparsable_rows_break_the_threshold_and_do_not_vanish(tmp_path: Path, tiny_base: Path) -> None:
    from kun.backtranslate.polish import polish

    project = prepared(tmp_path, tiny_base, WRITTEN)
    judge(project, changed(PARAMS.judge, mode="sampled"), FAKE)
    counts = polish(project, PARAMS.polish, changed(PARAMS.judge, floor=0.0, threshold=0.0), FAKE)
    assert counts is not None
    assert (counts["rows_in"], counts["reasons"]) == (len(WRITTEN), {"judge_floor": len(WRITTEN)})


def test_limit_and_context(tmp_path: Path, tiny_base: Path) -> None:
    written = [*WRITTEN[:5], "请" * 2000]
    project = prepared(tmp_path, tiny_base, written)
    ids = read_dataset(project.dataset("instructions"))["id"].to_list()
    judge(project, changed(PARAMS.judge, limit=4), FAKE)
    assert reasons(project, "judge") == dict.fromkeys(ids[4:], "limit")
    assert read_dataset(project.dataset("judged"))["id"].to_list() == ids[:4]
    judge(project, PARAMS.judge, FAKE)
    assert reasons(project, "judge") == {ids[5]: "prompt_too_long"}
    row = ledger(project, "judge").row(0, named=True)
    assert int(row["value"]) > int(row["threshold"]) == FAKE.context - PARAMS.judge.max_new_tokens
    assert row["excerpt"] == "请" * 200


def asked(project: Project, judge_params: Judge) -> list[str]:
    """The prompts that the stage computes."""
    seen: list[str] = []
    own = ModelStage.choices

    def spy(self: ModelStage, prompts: list[str], choices: list[str]) -> pl.DataFrame | None:
        seen.extend(prompts)
        return own(self, prompts, choices)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelStage, "choices", spy)
        judge(project, judge_params, engine())
    return seen


def test_the_judge_sees_the_instruction_and_not_the_text(tmp_path: Path, tiny_base: Path) -> None:
    """The difference between Kun and Humpback."""
    project = prepared(tmp_path, tiny_base, WRITTEN)
    raw = read_dataset(project.dataset("corpus"))["text"].to_list()
    for prompt, instruction, text in zip(asked(project, PARAMS.judge), WRITTEN, raw, strict=True):
        assert instruction in prompt
        assert text[:20] not in prompt
