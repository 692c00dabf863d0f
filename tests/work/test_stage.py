import json
from pathlib import Path
from typing import Any

import pytest

from kun.engine.base import Sampling
from kun.engine.records import Refusal, parse_record
from kun.errors import ModelError
from kun.work.run import Task
from kun.work.stage import ModelStage
from tests.engine.schemas import SCHEMAS, closed, text_of
from tests.made import engine, pinned


def test_free_text_has_the_key_that_it_always_had(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings and payload to the byte, or every result in scratch would be computed again."""
    seen: dict[str, Any] = {}

    def look(task: Task, payloads: list[Any], *_: object) -> None:
        seen.update(settings=task.settings, payloads=payloads)

    monkeypatch.setattr("kun.work.stage.run_task", look)
    ModelStage(pinned(tmp_path, tiny_base), "made", engine("hf"), None).generate(
        ["写"], Sampling(160, 0.7, 0.9, 1.1, 42)
    )
    assert json.dumps(seen["settings"]["sampling"]) == (
        '{"max_new_tokens": 160, "temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.1, "seed": 42}'
    )
    assert seen["payloads"] == ["写"]


@pytest.mark.parametrize("schema", [{"type": "strng"}, closed({"题": {"type": "string"}})], ids=["unknown", "open"])
def test_a_wrong_schema_ends_a_stage_before_weights_are_loaded(
    tiny_base: Path, tmp_path: Path, schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = ModelStage(pinned(tmp_path, tiny_base), "made", engine("hf"), None)
    monkeypatch.setattr("kun.work.stage.load_engine", lambda *_: pytest.fail("weights were loaded"))
    with pytest.raises(ModelError, match=r"^schema: "):
        stage.generate(["写"], Sampling(9), [text_of(schema)])


def test_records_of_a_stage(tiny_base: Path, tmp_path: Path) -> None:
    """A record that its limit cuts is not passed off as whole; free text of the same prompts has other keys."""
    stage = ModelStage(pinned(tmp_path, tiny_base), "made", engine("hf"), None)
    prompts, schema = ["写", "请介绍水稻"], SCHEMAS["enum"]
    done = stage.generate(prompts, Sampling(30), [text_of(schema)] * 2)
    assert done is not None
    assert done["finish"].to_list() == ["stop", "stop"]
    assert {json.loads(text)["难度"] for text in done["text"]} <= {"易", "中", "难"}
    cut = stage.generate(prompts, Sampling(5), [text_of(schema)] * 2)
    assert cut is not None
    assert cut["finish"].to_list() == ["length", "length"]
    free = stage.generate(prompts, Sampling(30))
    assert free is not None
    assert free["text"].to_list() != done["text"].to_list()


def test_each_row_is_held_to_its_own_schema_and_computed_anew_when_that_changes(
    tiny_base: Path, tmp_path: Path
) -> None:
    """In one batch: datasets have schemas of their own, and batches of one dataset would hold a row or two."""
    project = pinned(tmp_path, tiny_base)
    prompts, levels, courses = ["写", "请介绍水稻", "水"], text_of(SCHEMAS["enum"]), text_of(SCHEMAS["courses"])
    stage = ModelStage(project, "made", engine("hf"), None)
    done = stage.generate(prompts, Sampling(300), [levels, courses, ""])
    assert done is not None
    for text, schema in zip(done["text"], (levels, courses), strict=False):
        assert isinstance(parse_record(text, schema), dict), text
    assert isinstance(parse_record(done["text"][2], levels), Refusal), "free"
    again = ModelStage(project, "made", engine("hf"), None)
    assert again.generate(prompts, Sampling(300), [levels, levels, ""]) is not None
    told = json.loads(project.work("made").read_text())
    assert (told["rows"], told["from_scratch"]) == (3, pytest.approx(2 / 3, abs=1e-4)), (
        "the row with another schema, and no other"
    )


def test_one_prompt_is_asked_with_several_seeds(tiny_base: Path, tmp_path: Path) -> None:
    """Each is a row of its own, with and without a schema, and another seed is another row."""
    project = pinned(tmp_path, tiny_base)
    stage = ModelStage(project, "made", engine("hf"), None)
    warm = Sampling(12, 1.0, seed=3)
    done = stage.generate(["写"] * 3, warm, seeds=[3, 4, 3])
    alone = stage.generate(["写"], warm)
    assert done is not None
    assert alone is not None
    assert done["text"][0] == done["text"][2] == alone["text"][0]
    assert done["text"][0] != done["text"][1]
    held = stage.generate(["写"] * 2, Sampling(30, 1.0), [text_of(SCHEMAS["enum"])] * 2, [3, 4])
    assert held is not None
    assert all("难度" in json.loads(text) for text in held["text"])
    again = ModelStage(project, "made", engine("hf"), None)
    assert again.generate(["写"] * 2, warm, seeds=[4, 5]) is not None
    told = json.loads(project.work("made").read_text())
    assert (told["rows"], told["from_scratch"]) == (2, 0.5)
