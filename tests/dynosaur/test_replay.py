from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kun.dynosaur.lessons import lessons
from kun.dynosaur.replay import replay
from kun.project import Project
from kun.tables.shards import read_dataset
from tests.dynosaur.made_datasets import params
from tests.made import FAKE, assert_conserved, ledger, pin, store

SIZES = {1: 6, 2: 4, 3: 3}
"""Tasks that come in each step; each has three pairs."""


@pytest.fixture
def grown(tmp_path: Path, tiny_base: Path) -> Project:
    """Tasks and pairs of three steps."""
    project = Project(tmp_path)
    pin(project, tiny_base)
    names = [(step, f"t{step}{number}") for step, count in SIZES.items() for number in range(count)]
    tasks = [
        {"id": name, "source": f"set{step}", "variant": "unaware", "instruction": f"Task {name}.", "step": step}
        | {"input_fields": ["a"], "output_field": "b", "kind": "text", "labels": [], "lang": "en"}
        for step, name in names
    ]
    store(project, "dynosaur/tasks", pl.DataFrame(tasks))
    pairs = [
        {"id": f"{name}-{number}", "task": name, "instruction": f"Task {name}.", "input": "a", "output": "b"}
        | {"source": f"set{step}", "method": "dynosaur", "licence": "mit", "origin": "here"}
        | {"p_good": None, "copy_rate": None, "support": None}
        for step, name in names
        for number in range(3)
    ]
    store(project, "dynosaur/pairs", pl.DataFrame(pairs))
    return project


def chosen(project: Project, **values: Any) -> pl.DataFrame:
    counts = replay(project, params(**values), FAKE)
    assert counts is not None
    frame = read_dataset(project.dataset("dynosaur/replay"))
    candidates = SIZES[1] + (SIZES[1] + SIZES[2])
    assert counts["rows_in"] == candidates == frame.height + ledger(project, "dynosaur/replay").height
    return frame


def embedded(project: Project) -> int:
    found = (project.scratch / "work/dynosaur/replay").rglob("seg-*.parquet")
    return sum(pl.read_parquet(path).height for path in found)


@pytest.mark.parametrize("strategy", ["random", "similar", "diverse", "support"])
def test_each_step_but_the_first_replays_tasks_of_all_earlier_ones(grown: Project, strategy: str) -> None:
    frame = chosen(grown, replay=strategy, replay_tasks=4)
    assert frame.group_by("step").len().sort("step").rows() == [(2, 4), (3, 4)]
    assert all(task[1] < str(step) for task, step in frame.select("task", "step").iter_rows())
    assert frame.filter(step=2)["rank"].to_list() == [1, 2, 3, 4]
    assert set(frame["strategy"]) == {strategy}
    assert set(ledger(grown, "dynosaur/replay")["reason"]) == {"not_chosen"}
    assert chosen(grown, replay=strategy, replay_tasks=4).equals(frame)


def test_none_replays_nothing_and_asks_no_model(grown: Project) -> None:
    assert chosen(grown, replay="none").is_empty()
    assert embedded(grown) == 0


def test_embeddings_of_old_tasks_are_read_from_scratch(grown: Project) -> None:
    chosen(grown, replay="support")
    assert embedded(grown) == sum(SIZES.values())
    chosen(grown, replay="diverse")
    assert embedded(grown) == sum(SIZES.values())


def test_a_task_without_pairs_is_no_candidate(grown: Project) -> None:
    pairs = read_dataset(grown.dataset("dynosaur/pairs"))
    store(grown, "dynosaur/pairs", pairs.filter(pl.col("task") != "t10"))
    counts = replay(grown, params(replay="random"), FAKE)
    assert counts is not None and counts["rows_in"] == 5 + 9


def test_without_growth_there_is_nothing_to_replay(grown: Project) -> None:
    tasks = read_dataset(grown.dataset("dynosaur/tasks"))
    store(grown, "dynosaur/tasks", tasks.with_columns(step=pl.lit(1, pl.Int64)))
    counts = replay(grown, params(), FAKE)
    assert counts is not None and counts["rows_in"] == 0


def taught(project: Project, **values: Any) -> tuple[pl.DataFrame, dict[str, Any]]:
    wanted = params(**{"heldout": 0.0, "replay": "random", "replay_tasks": 2} | values)
    replay(project, wanted, FAKE)
    counts = lessons(project, wanted)
    return read_dataset(project.dataset("dynosaur/lessons")), counts


def test_a_lesson_has_the_new_pairs_and_those_of_replayed_tasks(grown: Project) -> None:
    frame, counts = taught(grown, replay_instances_per_task=2)
    rows = {(row["step"], row["role"]): row["rows"] for row in counts["steps"]}
    assert rows == {(1, "new"): 18, (2, "new"): 12, (2, "replay"): 4, (3, "new"): 9, (3, "replay"): 4}
    assert counts["reasons"] == {"limit": 4}
    replayed = read_dataset(grown.dataset("dynosaur/replay"))
    told = frame.filter(role="replay").select("step", "task").unique()
    assert set(told.iter_rows()) == set(replayed.select("step", "task").iter_rows())
    assert_conserved(grown, "dynosaur/lessons", "dynosaur/lessons", _ids(grown, frame), counts)


def _ids(project: Project, frame: pl.DataFrame) -> list[str]:
    return [*frame["id"], *ledger(project, "dynosaur/lessons")["id"]]


def test_old_and_new_are_mixed_and_the_order_is_fixed(grown: Project) -> None:
    frame, _ = taught(grown)
    roles = frame.filter(step=2)["role"].to_list()
    assert roles != sorted(roles) and roles != sorted(roles, reverse=True)
    assert taught(grown)[0].equals(frame)
    assert frame["step"].is_sorted()


def test_what_is_held_out_stays_so_in_every_step(grown: Project) -> None:
    frame, counts = taught(grown, heldout=0.4, replay_tasks=50, replay_instances_per_task=50)
    heldout = set(frame.filter(split="heldout")["pair"])
    assert heldout
    assert heldout.isdisjoint(frame.filter(split="train")["pair"])
    assert heldout.isdisjoint(frame.filter(role="replay")["pair"])
    assert set(counts["reasons"]) == {"heldout"}


def test_the_rows_of_a_step_are_a_table_of_seeds(grown: Project) -> None:
    from kun.schemas.pairs import SEED
    from kun.schemas.schema import conform

    frame, _ = taught(grown)
    assert conform(frame.filter(step=2), SEED).height == 18
