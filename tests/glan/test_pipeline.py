"""The real pipelines/glan/dvc.yaml with a tiny model, as a user runs it, and what a change costs."""

import re
from pathlib import Path

import polars as pl
import pytest

from kun.tables.shards import read_dataset
from tests.copies import ROOT, Copy, copy_project
from tests.glan.scripted import DATASETS, MODEL_STAGES, STAGES, TAXONOMY, write_taxonomy

TINY = {
    "teacher": "models/base.json",  # nothing is trained
    "questioner": "models/base.json",
    "answerer": "models/base.json",
    "disciplines": ["optics", "pottery"],
    "queries": 2,
    "list_subjects": 2,
    "subjects": 2,
    "sessions": 2,
    "concepts": 2,
    "questions": 2,
    "list_tokens": 32,
    "syllabus_tokens": 32,
    "record_tokens": 500,  # characters, and the tiny model writes until it may not
    "answer_tokens": 128,
    "min_question": 1,
    "min_answer": 1,
}


def stages_run(told: str) -> list[str]:
    """Without the base model and the gates."""
    return re.findall(r"^Running stage 'pipelines/glan/dvc.yaml:(\w+)':$", told, re.MULTILINE)


def repro(copy: Copy) -> list[str]:
    return stages_run(copy.must("dvc", "repro", "pipelines/glan/dvc.yaml"))


def computed(copy: Copy) -> dict[str, int]:
    """Rows that the model has seen for each stage, in all runs."""
    return {
        stage: sum(pl.read_parquet(path).height for path in (copy.scratch / "work/glan" / stage).rglob("seg-*.parquet"))
        for stage in MODEL_STAGES
    }


@pytest.fixture(scope="module")
def copy(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A project after its first run."""
    copy = copy_project(
        tmp_path_factory.mktemp("glan"), tiny_base, **{f"glan__{key}": value for key, value in TINY.items()}
    )
    write_taxonomy(copy.root)
    for name in ("pipelines/glan/dvc.yaml", "data/glan/.gitignore"):
        (copy.root / name).parent.mkdir(parents=True, exist_ok=True)
        (copy.root / name).write_bytes((ROOT / name).read_bytes())
    assert repro(copy) == list(STAGES)
    return copy


def test_a_run_leaves_pairs_of_all_chosen_disciplines_behind_open_gates(copy: Copy) -> None:
    pairs = read_dataset(copy.project.dataset("glan/pairs"))
    assert set(pairs["source"]) == {"science/physics/optics", "crafts/pottery"}
    assert all(copy.project.check(f"glan/{name}").is_file() for name in DATASETS.values())
    pages = {"coverage.html": "Pottery", "coverage.zh-CN.html": "制陶"}
    for page, name in pages.items():
        assert name in (copy.root / "reports/glan" / page).read_text(encoding="utf-8")


def test_a_second_run_does_nothing_and_a_new_discipline_computes_itself_alone(copy: Copy) -> None:
    assert repro(copy) == []
    before, done = (
        {stage: read_dataset(copy.project.dataset(f"glan/{stage}")) for stage in MODEL_STAGES},
        computed(copy),
    )
    copy.set_params({"glan.disciplines": ["optics", "pottery", "weaving"]})
    write_taxonomy(copy.root, TAXONOMY + "  weaving: {parent: crafts, zh: 编织, en: Weaving}\n")
    assert repro(copy) == list(STAGES)
    for stage, now in computed(copy).items():
        after = read_dataset(copy.project.dataset(f"glan/{stage}"))
        kept = after.filter(pl.col("id").is_in(before[stage]["id"].to_list()))
        assert kept.sort("id").equals(before[stage].sort("id")), stage
        assert done[stage] < now <= 2 * done[stage], "the third of three disciplines, retries included"
