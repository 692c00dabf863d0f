"""The real pipelines/reflection/dvc.yaml as users run it, from the root; a server is the oracle."""

import json
import shutil
from pathlib import Path

import pytest

from kun.models import pin_base
from kun.params import Model
from kun.tables.shards import read_dataset, write_json
from tests.copies import Copy, copy_project
from tests.engine.servers import Handler, message_of, scripted
from tests.made import store
from tests.reflection.oracles import better, rewrites
from tests.reflection.test_stages import made

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

FILE = "pipelines/reflection/dvc.yaml"
STAGES = ("instructions", "by_ifd", "answers", "by_rifd", "pairs")


def reflecting(handler: Handler, body: dict[str, object]) -> None:
    """As the published oracle writes: prose, and texts between markers."""
    prompt = message_of(body)
    if prompt == "你好":  # is anybody there?
        handler.reply("你好。", body)
        return
    record = json.loads(better(prompt))
    asked = f"[新指令] {record['instruction']} [结束]\n[新回答]" if rewrites(prompt) else "[更好的回答]"
    handler.reply(f"{record['critique']}\n{asked} {record['answer']} [结束]", body)


@pytest.fixture
def copy(tmp_path: Path, tiny_base: Path) -> Copy:
    """A project in which the main line has left its pairs and models; without its dvc.yaml, so that no stage makes them."""
    copy = copy_project(
        tmp_path,
        tiny_base,
        engine__backend="fake",
        reflection__backend="openai",
        reflection__max_ifd=1000.0,
        reflection__max_rifd=1000.0,
    )
    pin_base(copy.project, Model(str(tiny_base), "main", "CC0-1.0"))
    store(copy.project, "pairs", made(20))
    write_json(copy.project.check("pairs"), {"success": True})
    for name in ("chat", "label"):
        shutil.copytree(tiny_base, copy.project.adapter(name))
    return copy


def stages_run(told: str) -> list[str]:
    return [name for name in STAGES if f"Running stage '{FILE}:{name}'" in told]


def test_the_pipeline_runs_from_the_root_and_the_main_line_does_not_know_it(copy: Copy) -> None:
    for last in ("release", "report"):  # with all that DVC would run before them
        before = copy.must("dvc", "dag", "--dot", last)
        assert '"check@pairs"' in before and "pipelines" not in before
    (copy.root / "dvc.yaml").unlink()
    with scripted(reflecting) as server:
        copy.set_params({"engine.server.url": server.url, "engine.server.models": "oracle"})
        told = copy.must("dvc", "repro", FILE)
        asked = server.asked()
        again = copy.must("dvc", "repro", FILE)
        copy.set_params({"reflection.keep_unreflected": True})
        moved = copy.must("dvc", "repro", FILE)
    assert stages_run(told) == list(STAGES) and "Traceback" not in told
    assert "Running stage" not in again
    assert stages_run(moved) == ["pairs"], "a moved switch asks no model"
    assert len(asked) == len(set(asked)) == len(server.asked()) == 40
    for name in STAGES:
        assert json.loads(copy.project.check(f"reflection/{name}").read_text(encoding="utf-8"))["success"] is True
        assert copy.project.counts(f"reflection/{name}").is_file()
    outcomes = json.loads(copy.project.counts("reflection/pairs").read_text(encoding="utf-8"))["outcomes"]
    assert sum(row["pairs"] for row in outcomes.values()) == 20
    assert read_dataset(copy.project.dataset("reflection/pairs"))["method"].to_list() == ["reflection"] * 20
