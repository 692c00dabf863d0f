import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kun.engine.base import Completion
from kun.errors import InputError
from kun.glan.nodes import read_nodes
from kun.glan.propose import key_of, propose
from kun.project import Project
from tests.glan.scripted import Scripted, params
from tests.made import engine

PROPOSED = [
    {"zh": "声学", "en": "Acoustics"},
    {"zh": "光学。", "en": "Optical Science"},  # there already, under another English name
    {"zh": "声学", "en": "Sound"},  # proposed a moment ago
    {"zh": "等离子体物理", "en": "Plasma Physics"},
    {"zh": "甲", "en": "。"},
]


@pytest.fixture
def answering(scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch) -> Scripted:
    text = json.dumps({"disciplines": PROPOSED}, ensure_ascii=False)
    monkeypatch.setattr(Scripted, "_reply", lambda *_: Completion(text, "stop", 9))
    return scripted()


def test_new_disciplines_are_written_behind_the_others_and_wait(project: Project, answering: Scripted) -> None:
    path = project.root / "data/glan/proposed.yaml"
    path.write_text("# by a model\ndisciplines:\n  drama: {parent: crafts, zh: 戏剧, en: Drama}\n", encoding="utf-8")
    assert propose(project, params(), engine("fake"), [], 5) == ["acoustics", "plasma-physics"]
    assert path.read_text(encoding="utf-8").startswith("# by a model\ndisciplines:\n  drama:")
    added = [node for node in read_nodes(path.parent) if node.origin == "model"]
    assert [(node.key, node.parent) for node in added] == [
        ("drama", "crafts"),
        ("acoustics", "physics"),
        ("plasma-physics", "physics"),
    ]
    assert propose(project, params(), engine("fake"), ["crafts"], 5) == []
    assert all("声学" in prompt or "光学" in prompt or "制陶" in prompt for prompt, _ in answering.calls)


@pytest.mark.parametrize("parent", ["nowhere", "optics"])
def test_nothing_is_proposed_below_what_has_no_room(project: Project, answering: Scripted, parent: str) -> None:
    with pytest.raises(InputError, match=f"`{parent}` is no field or sub-field"):
        propose(project, params(), engine("fake"), [parent], 5)
    assert answering.calls == []


@pytest.mark.parametrize(
    ("name", "key"), [("Plasma Physics", "plasma-physics"), ("Café & Bar", "cafe-bar"), ("光学", "")]
)
def test_keys_come_from_english_names(name: str, key: str) -> None:
    assert key_of(name) == key


def test_a_helper_rank_writes_no_proposal(
    project: Project, answering: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("kun.processes.wait_for_all", lambda: None)
    before = (tmp_path / "data/glan/proposed.yaml").read_bytes()
    assert propose(project, params(), engine("fake"), [], 5) is None
    assert (tmp_path / "data/glan/proposed.yaml").read_bytes() == before
