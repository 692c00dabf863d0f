"""Stores and a hub on loopback, and a released project that is under DVC."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kun.params import Params
from kun.project import Project
from kun.release.release import release
from kun.tables.shards import write_json
from tests.copies import Copy
from tests.release.conftest import pairs, params, project
from tests.sharing.hub import Hub, hub_server
from tests.sharing.stores import S3, s3_server

__all__ = ["pairs", "params", "project"]

DVC_YAML = """\
stages:
  release:
    cmd: echo made elsewhere
    deps: [data/selected]
    outs: [data/release]
"""
PROJECT_FILES = ("params.yaml", "dvc.yaml", "reports", "models", "data/.gitignore", ".dvc", ".dvcignore", ".gitignore")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A store that asks who is there."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def hub() -> Iterator[Hub]:
    """An empty hub."""
    with hub_server() as server:
        yield server


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first released project stays, for the tests that follow."""
    return tmp_path_factory.mktemp("released") / "project"


@pytest.fixture
def released(project: Project, params: Params, kept: Path) -> Project:
    """A project with a release of three pairs that dvc.lock knows, committed to git."""
    if not kept.exists():
        put_under_dvc(project, params)
        shutil.copytree(project.root, kept, symlinks=True)
    shutil.rmtree(project.root)
    shutil.copytree(kept, project.root, symlinks=True)
    return project


def put_under_dvc(project: Project, params: Params) -> None:
    root = project.root
    release(project, params)
    for gate in ("pairs", "selected"):
        write_json(project.check(gate), {"dataset": gate, "success": True, "expectations": [1]})
    (root / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
    (root / "params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8"))
    copy = Copy(root, root / ".kun")
    copy.must("git", "init", "-q", "-b", "main")
    copy.must("git", "config", "user.name", "test")
    copy.must("git", "config", "user.email", "test@example.org")
    under_dvc = (
        "from dvc.repo import Repo\n"
        "repo = Repo.init('.')\n"
        "repo.commit(force=True)"  # what lies there is what the stage made
    )
    subprocess.run([sys.executable, "-c", under_dvc], cwd=root, env=copy.env, check=True, capture_output=True)
    copy.must("git", "add", *(name for name in PROJECT_FILES if (root / name).exists()), "dvc.lock")
    copy.must("git", "commit", "-q", "-m", "A release")
