"""kill -9 in the middle of model work costs a batch, never a byte. KUN_KILLS=20 for the full acceptance run."""

import os
import subprocess
from pathlib import Path

import polars as pl
import pytest

from kun.schemas.datasets import DATASETS
from kun.tables.shards import read_dataset, write_dataset
from tests.copies import Copy
from tests.kill_many import COMMANDS, TRAINED, WORK, Outcome, computed_again, differences, kill_many, trained_again

KILLS = int(os.environ.get("KUN_KILLS", "3"))
SEED = 7


@pytest.fixture(scope="module")
def outcomes(finished: Copy, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """Killed KILLS times at seeded moments, over training and all generating stages, then run to the end."""
    return kill_many(finished, tmp_path_factory.mktemp("killed"), KILLS, SEED)


def test_every_start_was_killed_while_work_was_left(outcomes: list[Outcome]) -> None:
    kills = [kill for outcome in outcomes for kill in outcome.kills]
    assert len(kills) == KILLS
    assert {kill.command for kill in kills} == {" ".join(command) for command in COMMANDS}
    assert any(0 < kill.done["train-label"] < TRAINED for kill in kills), "one kill at least met training"
    assert any(kill.done[stage] > 0 for kill in kills for stage in WORK[2:]), "and one the writing of text"


def test_the_bytes_are_those_of_an_uninterrupted_run(outcomes: list[Outcome], finished: Copy) -> None:
    assert (finished.root / "data/pairs/part-00000.parquet").is_file()
    assert [differences(outcome, finished) for outcome in outcomes] == [[]] * len(outcomes)


def test_no_finished_row_is_computed_again(outcomes: list[Outcome]) -> None:
    assert [computed_again(outcome.copy) for outcome in outcomes] == [{}] * len(outcomes)


def test_training_goes_on_behind_its_last_checkpoint(outcomes: list[Outcome]) -> None:
    assert [trained_again(outcome) for outcome in outcomes] == [[]] * len(outcomes)


def test_nothing_half_written_is_left(outcomes: list[Outcome]) -> None:
    """No temporary files beside the datasets, where DVC would take them for data, nor in scratch."""
    for outcome in outcomes:
        root = outcome.copy.root
        places = (root / "data", root / "models", root / "reports", outcome.copy.scratch)
        assert [path for place in places for path in place.rglob("*.tmp")] == []


def test_git_is_as_it_was(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        assert outcome.copy.must("git", "symbolic-ref", "HEAD").strip() == "refs/heads/main"
        assert outcome.copy.must("git", "diff", "--stat", "HEAD", "--", "kun", "params.yaml", "dvc.yaml") == ""


def test_what_a_killed_process_left_half_written_is_removed_by_the_next_one(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / f".seeds.{gone.pid}.tmp"
    alive = tmp_path / f".seeds.{os.getppid()}.tmp"
    for folder in (left, alive):
        folder.mkdir()
        (folder / "part-00000.parquet").write_bytes(b"PAR1")
    write_dataset(tmp_path / "seeds", pl.DataFrame(schema=DATASETS["seeds"]), DATASETS["seeds"])
    assert not left.exists()
    assert alive.exists(), "another process is at work on it"
    assert read_dataset(tmp_path / "seeds").is_empty()
