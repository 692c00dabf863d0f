"""The stages one behind the other, with a scripted model."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from kun.corpus.evals import EvalGrams
from kun.engine.records import Refusal
from kun.glan.lists import lists
from kun.glan.questions import own_words, question_prompt
from kun.glan.subjects import subjects
from kun.glan.taxonomy import taxonomy
from kun.project import Project
from kun.tables.shards import read_dataset
from tests.glan.scripted import DATASETS, MODEL_STAGES, STAGES, TAXONOMY, Scripted, params, run, write_taxonomy
from tests.made import engine, ledger

Install = Callable[..., Scripted]


def tables(project: Project) -> dict[str, pl.DataFrame]:
    return {stage: read_dataset(project.dataset(f"glan/{name}")) for stage, name in DATASETS.items()}


def outputs(project: Project) -> dict[str, bytes]:
    files = [
        *project.root.glob("data/**/*.parquet"),
        *project.root.glob("reports/glan/coun*/*"),
        *project.root.glob("reports/glan/coverage*.html"),
    ]
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize("garbage", [0, 30])
def test_every_row_is_accounted_for_whatever_the_model_writes(
    project: Project, scripted: Install, garbage: int
) -> None:
    model = scripted(garbage)
    counts = run(project, params())
    for stage in STAGES:
        told, rejected = counts[stage], ledger(project, f"glan/{stage}")
        kept = read_dataset(project.dataset(f"glan/{DATASETS[stage]}"))
        assert told["rows_in"] == kept.height + rejected.height
        assert told["dropped"] + told["failed"] == rejected.height == sum(told["reasons"].values())  # type: ignore[attr-defined,operator]
        assert kept["id"].n_unique() == kept.height
        assert rejected.filter((pl.col("reason") == "") | (pl.col("stage") != f"glan/{stage}")).is_empty()
    made = tables(project)
    assert made["pairs"].height > 20
    assert set(made["pairs"]["method"]) == {"glan"}
    assert len(model.calls) == len(set(model.calls)), "nothing is asked twice with the same seed"
    asked = len({prompt for prompt, _ in model.calls})
    three_lists = 2 * 3
    assert len(model.calls) - three_lists > asked if garbage else len(model.calls) - three_lists == asked


def test_a_reply_that_stays_garbage_has_failed_after_three_attempts(project: Project, scripted: Install) -> None:
    scripted()
    taxonomy(project, params())
    lists(project, params(), engine("fake"))
    model = scripted(100)
    counts = subjects(project, params(), engine("fake"))
    failed = ledger(project, "glan/subjects")
    assert counts is not None
    assert counts["failed"] == counts["rows_in"] == failed.height == counts["lists"] == 9
    assert set(failed["threshold"]) == {"3 attempts"}
    assert len(model.calls) == 3 * 9
    assert len({sampling.seed for _, sampling in model.calls}) == 3


def test_garbage_in_records_is_kept_raw_and_told_by_reason(project: Project, scripted: Install) -> None:
    scripted(60)
    run(project, params(attempts=1, queries=8))
    failed = ledger(project, "glan/subjects").filter(pl.col("status") == "failed")
    assert {"not_json", "cut"} <= set(failed["reason"])
    assert failed.filter(pl.col("reason") == "not_json")["excerpt"].str.contains("整理的结果|```").any()


def test_each_discipline_is_asked_as_often_as_queries_say(project: Project, scripted: Install) -> None:
    model = scripted()
    taxonomy(project, params())
    lists(project, params(queries=10), engine("fake"))
    for name in ("光学", "热学", "制陶"):
        asked = [sampling.seed for prompt, sampling in model.calls if name in prompt]
        assert len(asked) == len(set(asked)) == 10
    assert model.schemas == {""}, "the first turn is free text"
    assert model.batches == [30], "at once: a discipline that is added alone would else wait ten times"


def test_equal_subjects_of_different_disciplines_stay_apart(project: Project, scripted: Install) -> None:
    scripted()
    run(project, params(subjects=0))
    found = tables(project)["subjects"]
    assert found.group_by("name").agg(pl.col("discipline_id").n_unique())["discipline_id"].max() == 3
    assert found.select("discipline_id", "name").is_unique().all()
    assert found["n_mentions"].max() > 1
    assert set(found["level"]) == {100}


def test_the_teacher_sees_the_syllabus_and_the_answerer_the_question_alone(project: Project, scripted: Install) -> None:
    model = scripted()
    run(project, params())
    made = tables(project)
    syllabi = dict(made["syllabi"].select("id", "text").iter_rows())
    sessions = {row["id"]: row for row in made["sessions"].iter_rows(named=True)}
    prompts = [prompt for prompt, _ in model.calls]
    for row in made["questions"].iter_rows(named=True):
        names = [sessions[id]["name"] for id in row["session_ids"]]
        concepts = {
            concept
            for id in row["session_ids"]
            for concept, own in zip(sessions[id]["concepts"], sessions[id]["concept_ids"], strict=True)
            if own in row["concept_ids"]
        }
        assert any(
            syllabi[row["subject_id"]] in prompt and all(part in prompt for part in (*names, *concepts))
            for prompt in prompts
        )
        asked = [prompt for prompt in prompts if row["question"] in prompt]
        assert asked and all(syllabi[row["subject_id"]] not in prompt for prompt in asked)
    assert set(made["questions"]["strategy"]) == {"single", "double"}


def test_a_question_that_hands_the_request_back_is_none() -> None:
    for lang, handed, own in (
        ("zh", "第二课的题目要完整、具体，不看大纲也能读懂和回答。", "光的折射率是什么？请结合具体的例子回答。"),
        ("zh", "请根据“炒饭、红烧肉”这两节课的知识点，写出一道综合题。", "请说明炒饭和红烧肉这两道菜各用哪些锅具。"),
        (
            "en",
            "Optics: IT CAN BE UNDERSTOOD and answered without the syllabus.",
            "The students have finished the experiment. What is g?",
        ),
    ):
        refused = own_words(handed, lang)
        assert isinstance(refused, Refusal) and refused.reason == "prompt_echo"
        assert own_words(own, lang) == own
    assert own_words(Refusal("cut", ""), "zh") == Refusal("cut", "")


def test_every_pair_leads_back_to_its_field_by_ids(project: Project, scripted: Install) -> None:
    scripted()
    run(project, params())
    made = tables(project)
    questions, of_discipline, sessions, nodes = (
        {row["id"]: row for row in made[stage].iter_rows(named=True)}
        for stage in ("questions", "subjects", "sessions", "taxonomy")
    )
    for pair in made["pairs"].iter_rows(named=True):
        question = questions[pair["id"]]
        subject = of_discipline[question["subject_id"]]
        assert {sessions[id]["subject_id"] for id in question["session_ids"]} == {subject["id"]}
        known = {id for session in question["session_ids"] for id in sessions[session]["concept_ids"]}
        assert set(question["concept_ids"]) <= known
        node = nodes[subject["discipline_id"]]
        assert question["discipline_id"] == node["id"] and pair["source"] == node["path"]
        while node["parent_id"]:
            node = nodes[node["parent_id"]]
        assert node["kind"] == "field"


def test_a_second_run_asks_nothing_and_writes_the_same_bytes(project: Project, scripted: Install) -> None:
    model = scripted(30)
    run(project, params())
    before, asked = outputs(project), len(model.calls)
    run(project, params())
    assert len(model.calls) == asked, "a reply that was refused is a result too"
    assert outputs(project) == before


def test_a_new_discipline_computes_its_descendants_alone(project: Project, scripted: Install) -> None:
    model = scripted()
    run(project, params())
    before, asked = tables(project), len(model.calls)
    write_taxonomy(project.root, TAXONOMY + "  weaving: {parent: crafts, zh: 编织, en: Weaving}\n")
    run(project, params())
    after = tables(project)
    (node,) = after["taxonomy"].filter(pl.col("key") == "weaving")["id"]
    own = after["subjects"].filter(pl.col("discipline_id") == node)["id"].to_list()
    new = model.calls[asked:]
    written = after["lists"].filter(pl.col("discipline_id") == node).height + 3
    fresh = after["questions"].filter(pl.col("discipline_id") == node).height
    assert len(new) == written + 2 * len(own) + 2 * fresh
    for stage in STAGES[1:8]:
        assert before[stage].join(after[stage], on="id", how="anti").is_empty()
        kept = after[stage].filter(pl.col("id").is_in(before[stage]["id"].to_list()))
        assert kept.sort("id").equals(before[stage].sort("id")), stage
    write_taxonomy(project.root)
    asked = len(model.calls)
    run(project, params())
    assert len(model.calls) == asked
    assert all(table.equals(before[stage]) for stage, table in tables(project).items())


def test_a_larger_budget_keeps_the_questions_that_are_there(project: Project, scripted: Install) -> None:
    scripted()
    run(project, params(questions=3))
    before = tables(project)["questions"]
    run(project, params(questions=7))
    after = tables(project)["questions"]
    assert after.height > before.height
    assert after.filter(pl.col("draw") < 3).sort("id").equals(before.sort("id"))


def test_a_limit_takes_from_all_subjects_in_turn(project: Project, scripted: Install) -> None:
    scripted()
    counts = run(project, params(discipline_questions=4))
    found = tables(project)["questions"]
    assert set(found.group_by("discipline_id").len()["len"]) == {4}
    assert found.group_by("discipline_id").agg(pl.col("subject_id").n_unique())["subject_id"].min() == 3
    assert counts["questions"]["reasons"] == {"limit": 3 * (3 * 4 - 4)}


def test_a_planted_item_of_an_evaluation_set_goes_with_its_name(project: Project, scripted: Install) -> None:
    scripted()
    run(project, params())
    before = tables(project)["pairs"]
    planted = before.row(3, named=True)
    counts = run(project, params(), EvalGrams([("bench.jsonl:7", planted["instruction"])], 13))
    gone = ledger(project, "glan/pairs").filter(pl.col("reason") == "contaminated")
    assert planted["id"] in set(gone["id"])
    assert gone["value"].str.contains("bench.jsonl:7", literal=True).all()
    assert counts["pairs"]["rows_in"] == before.height
    assert counts["pairs"]["kept"] == before.height - gone.height


def test_a_helper_rank_and_a_pilot_write_nothing(
    project: Project, scripted: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted()
    taxonomy(project, params())
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("kun.processes.wait_for_all", lambda: None)
    assert lists(project, params(), engine("fake")) is None
    assert not project.dataset("glan/lists").exists()


def test_prompts_of_both_languages_name_all_that_they_are_given() -> None:
    row = {"strategy": "double", "name": "SUBJECT", "level_raw": "LEVEL", "syllabus": "SYLLABUS"}
    row |= {"session_names": ["S1", "S2"], "concepts": ["K1", "K2"]}
    for lang in ("zh", "en"):
        prompt = question_prompt(row, lang)
        assert all(word in prompt for word in ("SUBJECT", "LEVEL", "SYLLABUS", "S1", "S2", "K1", "K2"))


def test_coverage_adds_up_and_marks_what_is_thin(project: Project, scripted: Install) -> None:
    scripted()
    run(project, params(thin=1000))
    table = tables(project)["coverage"]
    pairs = tables(project)["pairs"].height
    roots = table.filter(pl.col("kind") == "field")
    assert roots["pairs"].sum() == table.filter(pl.col("kind") == "discipline")["pairs"].sum() == pairs
    assert set(table.filter("thin")["kind"]) == {"discipline"}
    assert table["thin"].sum() == 3
    counts = json.loads((project.root / "reports/glan/counts/coverage.json").read_text(encoding="utf-8"))
    assert counts["thin"] == 3


def test_stages_that_ask_a_model_tell_what_it_cost(project: Project, scripted: Install) -> None:
    scripted()
    run(project, params())
    for stage in MODEL_STAGES:
        assert Path(project.root / f"reports/glan/work/{stage}.json").is_file()
