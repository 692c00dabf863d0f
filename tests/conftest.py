"""No test reaches beyond this machine, in this process or in those that it starts; a tiny model stands in for the base."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from kun.work import progress
from tests.browser import browser  # noqa: F401  a fixture for all tests
from tests.copies import OFFLINE, PROXIES, Copy, copied, copy_project


def pytest_configure() -> None:
    """Before anything is imported that reads these at import; sockets are closed by pytest-socket (pyproject.toml)."""
    os.environ.update(OFFLINE)
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # a worker of pytest-xdist for each core; threads gain tiny models nothing
    for name in list(os.environ):
        if name.lower() in PROXIES or name == "KUN_SCRATCH":
            del os.environ[name]
    progress.QUICK_SECONDS = math.inf  # what is told must not hang on how busy the machine is
    settings.register_profile("kun", deadline=None)  # wall time says nothing where machines are shared
    settings.load_profile("kun")


@pytest.fixture(scope="session", autouse=True)
def _dvc_site(tmp_path_factory: pytest.TempPathFactory) -> None:
    """DVC keeps locks and a database of file states for the whole machine: here for this run of the tests."""
    os.environ["DVC_SITE_CACHE_DIR"] = str(tmp_path_factory.mktemp("dvc-site"))


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Folder of the tiny model in transformers format, made once."""

    def make(folder: Path) -> None:
        from tests.tiny import make_tiny_model  # brings torch, which most tests do without

        make_tiny_model(folder / "base")

    return made_once(tmp_path_factory, worker_id, "tiny", make) / "base"


@pytest.fixture(scope="session")
def finished(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Copy:
    """A small project after `dvc repro` of the real dvc.yaml with the tiny model; `duplicate` it before a change."""

    def make(folder: Path) -> None:
        copy = copy_project(folder, tiny_base)
        (copy.root.parent / "output.txt").write_text(copy.must("dvc", "repro"), encoding="utf-8")
        copy.commit()

    return copied(made_once(tmp_path_factory, worker_id, "finished", make))


def made_once(factory: pytest.TempPathFactory, worker_id: str, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` has filled, by one worker for all (the recipe of pytest-xdist's documentation)."""
    if worker_id == "master":
        folder = factory.mktemp(name)
        make(folder)
        return folder
    folder = factory.getbasetemp().parent / name
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            (folder / "complete").touch()
    return folder
