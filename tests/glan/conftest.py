from collections.abc import Callable
from pathlib import Path

import pytest

from kun.project import Project
from tests.glan.scripted import Scripted, write_taxonomy
from tests.made import pin


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Scripted]:
    """Let a scripted model stand behind every stage; call with the percentage of garbage."""

    def install(garbage: int = 0) -> Scripted:
        model = Scripted(garbage)
        monkeypatch.setattr("kun.work.stage.load_engine", lambda *_: model)
        return model

    return install


@pytest.fixture
def project(tiny_base: Path, tmp_path: Path) -> Project:
    """With three disciplines, and a tokenizer to count by."""
    write_taxonomy(tmp_path)
    project = Project(tmp_path)
    pin(project, tiny_base)
    return project
