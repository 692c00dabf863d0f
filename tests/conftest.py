"""No test reaches beyond this machine, in this process or in those that it starts; a tiny model stands in for the base."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.copies import OFFLINE, PROXIES, Copy, copy_project


def pytest_configure() -> None:
    """Before anything is imported that reads these at import; sockets are closed by pytest-socket (pyproject.toml)."""
    os.environ.update(OFFLINE)
    for name in list(os.environ):
        if name.lower() in PROXIES or name == "KUN_SCRATCH":
            del os.environ[name]
    settings.register_profile("kun", deadline=None)  # wall time says nothing where machines are shared
    settings.load_profile("kun")


@pytest.fixture(scope="session", autouse=True)
def _dvc_site(tmp_path_factory: pytest.TempPathFactory) -> None:
    """DVC keeps locks and a database of file states for the whole machine: here for this run of the tests."""
    os.environ["DVC_SITE_CACHE_DIR"] = str(tmp_path_factory.mktemp("dvc-site"))


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny model in transformers format, made once."""
    from tests.tiny import make_tiny_model  # brings torch, which most tests do without

    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def finished(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A small project after `dvc repro` of the real dvc.yaml with the tiny model; `duplicate` it before a change."""
    copy = copy_project(tmp_path_factory.mktemp("finished"), tiny_base)
    (copy.root.parent / "output.txt").write_text(copy.must("dvc", "repro"), encoding="utf-8")
    copy.commit()
    return copy
