"""The real pipelines/dynosaur/dvc.yaml with the tiny model, as a user runs it."""

import json
import re
import shutil
from pathlib import Path

import polars as pl

from kun.tables.shards import read_dataset
from tests.copies import Copy, copy_project
from tests.dynosaur.made_datasets import write_dataset_folder

PIPELINE = "pipelines/dynosaur/dvc.yaml"
TOOLS = [
    {"tool": f"tool {n}", "use": f"It is for work number {n}.", "place": ["kitchen", "yard"][n % 2]} for n in range(12)
]
GAMES = [{"game": f"game {n}", "rules": f"You need {n} stones."} for n in range(8)]


def small(folder: Path, tiny_base: Path) -> Copy:
    """A project with one dataset, whose letters the tiny model knows."""
    copy = copy_project(
        folder,
        tiny_base,
        engine__context=4096,
        dynosaur__max_new_tokens=640,
        dynosaur__temperature=0.7,
        dynosaur__min_words=0,
        dynosaur__replay_tasks=2,
        dynosaur__allow=["cc0-1.0"],
    )
    shutil.rmtree(copy.root / "data/datasets")
    write_dataset_folder(copy.root, "tools", TOOLS, language="en", summary="Tools of a house.")
    copy.commit()
    return copy


def asked(copy: Copy, stage: str) -> int:
    """Rows that the model has seen, in all runs."""
    found = (copy.scratch / "work/dynosaur" / stage).rglob("seg-*.parquet")
    return sum(pl.read_parquet(path).height for path in found)


def ran(told: str) -> list[str]:
    return re.findall(r"^Running stage '(?:pipelines/dynosaur/dvc.yaml:)?(.+)':$", told, re.MULTILINE)


def test_a_dataset_that_is_added_costs_its_own_prompts(tiny_base: Path, tmp_path: Path) -> None:
    copy = small(tmp_path, tiny_base)
    told = copy.must("dvc", "repro", PIPELINE)
    stages = ["datasets", "proposals", "tasks", "pairs", "replay", "lessons"]
    assert [stage for stage in ran(told) if stage in stages] == stages
    assert {f"check@{stage}" for stage in stages} < set(ran(told))
    assert asked(copy, "proposals") == 2
    assert ran(copy.must("dvc", "repro", PIPELINE)) == [], "nothing has changed"

    first = read_dataset(copy.project.dataset("dynosaur/pairs"))
    assert first.height > 0
    copy.must("kun", "dynosaur", "grow", "--register")
    write_dataset_folder(copy.root, "games", GAMES, language="en", summary="Games of children.")
    forecast = copy.must("kun", "dynosaur", "grow")
    assert "new: games" in forecast
    assert "4, of which 2 are answered already and 2 would be asked" in forecast
    copy.must("dvc", "repro", f"{PIPELINE}:lessons")
    assert asked(copy, "proposals") == 4
    after = read_dataset(copy.project.dataset("dynosaur/pairs"))
    assert after.filter(source="tools").sort("id").equals(first.sort("id")), "earlier rows stay as they were"
    assert set(read_dataset(copy.project.dataset("dynosaur/lessons"))["step"]) <= {1, 2}

    shutil.rmtree(copy.root / "data/datasets/tools")
    copy.must("dvc", "repro", f"{PIPELINE}:pairs")
    assert asked(copy, "proposals") == 4
    assert read_dataset(copy.project.dataset("dynosaur/pairs")).filter(source="tools").is_empty()
    for stage in ("datasets", "proposals", "tasks", "pairs"):
        counts = json.loads(copy.project.counts(f"dynosaur/{stage}").read_text(encoding="utf-8"))
        assert counts["rows_in"] == counts["kept"] + counts["dropped"] + counts["failed"]
