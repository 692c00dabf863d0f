from pathlib import Path

import polars as pl
import pytest

from kun.errors import InputError
from kun.params import Params
from kun.project import Project
from kun.release import release as module
from kun.release.release import release
from kun.schemas.select import SELECTED
from kun.tables.shards import write_dataset
from tests.release.conftest import chosen

FILES = [
    "README.md",
    "SHA256SUMS",
    "alpaca.jsonl",
    "data/train-00000-of-00002.parquet",
    "data/train-00001-of-00002.parquet",
    "dataset_info.json",
    "messages.jsonl",
    "sharegpt.jsonl",
]


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_release_is_whole_and_the_same_every_time(project: Project, params: Params) -> None:
    folder = project.dataset("release")
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "train-00000-of-00009.parquet").write_bytes(b"of an older release")
    summary = release(project, params)
    assert summary == {
        "name": "kun-demo",
        "pairs": 3,
        "shards": 2,
        "licences": ["cc0-1.0", "gemma"],
        "folder": str(folder),
    }
    first = files(folder)
    assert sorted(first) == FILES
    release(project, params)
    assert files(folder) == first
    assert not list((project.root / "data").glob(".release*"))


def test_an_empty_set_is_refused(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    write_dataset(project.dataset("selected"), chosen(pairs).clear(), SELECTED)
    with pytest.raises(InputError, match="data/selected is empty"):
        release(project, params)
    assert not project.dataset("release").exists()


def test_a_broken_build_leaves_the_old_release(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(project, params)
    before = files(project.dataset("release"))

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(module, "write_card", fail)
    with pytest.raises(OSError, match="disk full"):
        release(project, params)
    assert files(project.dataset("release")) == before
    assert not list((project.root / "data").glob(".release*"))
