import json
from pathlib import Path
from typing import Any

import pytest

from kun.engine.base import Sampling
from kun.errors import ModelError
from kun.work.stage import ModelStage, sampling_settings
from tests.engine.schemas import SCHEMAS, closed, text_of
from tests.made import engine, pinned


def test_free_text_has_the_settings_that_it_always_had() -> None:
    """To the byte, or every result in scratch would be computed again."""
    assert json.dumps(sampling_settings(Sampling(160, 0.7, 0.9, 1.1, 42))) == (
        '{"max_new_tokens": 160, "temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.1, "seed": 42}'
    )


def test_a_schema_is_part_of_the_settings() -> None:
    assert sampling_settings(Sampling(9, schema='{"enum": [1]}'))["schema"] == '{"enum": [1]}'


@pytest.mark.parametrize("schema", [{"type": "strng"}, closed({"题": {"type": "string"}})], ids=["unknown", "open"])
def test_a_wrong_schema_ends_a_stage_before_weights_are_loaded(
    tiny_base: Path, tmp_path: Path, schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = ModelStage(pinned(tmp_path, tiny_base), "made", engine("hf"), None)
    monkeypatch.setattr("kun.work.stage.load_engine", lambda *_: pytest.fail("weights were loaded"))
    with pytest.raises(ModelError, match=r"^schema: "):
        stage.generate(["写"], Sampling(9, schema=text_of(schema)))


def test_records_of_a_stage(tiny_base: Path, tmp_path: Path) -> None:
    """A record that its limit cuts is not passed off as whole; free text of the same prompts has other keys."""
    stage = ModelStage(pinned(tmp_path, tiny_base), "made", engine("hf"), None)
    prompts, schema = ["写", "请介绍水稻"], SCHEMAS["enum"]
    done = stage.generate(prompts, Sampling(30, schema=text_of(schema)))
    assert done is not None
    assert done["finish"].to_list() == ["stop", "stop"]
    assert {json.loads(text)["难度"] for text in done["text"]} <= {"易", "中", "难"}
    cut = stage.generate(prompts, Sampling(5, schema=text_of(schema)))
    assert cut is not None
    assert cut["finish"].to_list() == ["length", "length"]
    free = stage.generate(prompts, Sampling(30))
    assert free is not None
    assert free["text"].to_list() != done["text"].to_list()
