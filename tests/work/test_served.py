"""Stages whose model is a server: processes as users start them, in a project that has no model of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from kun.backtranslate.label import label
from kun.engine.base import Completion, Gauge, Sampling
from kun.errors import ConfigError
from kun.params import Engine
from kun.project import Project
from kun.schemas.pairs import INSTRUCTION
from kun.tables.shards import read_dataset
from kun.work.engines import role, served_model
from kun.work.stage import ModelStage
from tests.copies import OFFLINE_GUARD, ROOT
from tests.engine.servers import Handler, message_of, politely, scripted
from tests.made import PARAMS, changed, ledger, prose, seed_pairs, store, texts

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

ROWS = 40
RUN = "import sys; from kun.cli import main\ntry: main(sys.argv[1:])\nfinally: print('torch' in sys.modules)"


def prepared(root: Path, url: str, **server: Any) -> Project:
    """A project with texts and instructions, served by `url`; no base model, nothing trained."""
    project = Project(root)
    rows = store(project, "corpus", texts(prose(ROWS)))
    written = [instruction for instruction, _ in seed_pairs(ROWS)]
    store(project, "instructions", pl.DataFrame({"id": rows["id"], "instruction": written}, schema=INSTRUCTION))
    tree = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    tree["engine"]["backend"] = "openai"
    tree["engine"]["server"] |= {"url": url, "models": "some-model", "concurrency": 2, "retries": 2} | server
    tree["label"]["max_new_tokens"] = 32
    tree["judge"] |= {"mode": "sampled", "calibrate": 0.0}
    (root / "params.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    return project


def start(project: Project, *verb: str) -> "subprocess.Popen[str]":
    path = os.pathsep.join([str(ROOT), str(OFFLINE_GUARD)])
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *verb],
        cwd=project.root,
        env=os.environ | {"PYTHONPATH": path, "KUN_SCRATCH": str(project.root / "scratch")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(project: Project, *verb: str) -> tuple[int, str, str]:
    process = start(project, *verb)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def verdicts(handler: Handler, body: dict[str, Any]) -> None:
    handler.reply("【好】" if "【" in message_of(body) else "如何过河？", body)


def test_label_judge_and_polish_need_neither_a_local_model_nor_torch(tmp_path: Path) -> None:
    with scripted(verdicts) as server:
        project = prepared(tmp_path, server.url)
        for verb in ("label", "judge", "polish"):
            assert run(project, verb)[:2] == (0, "False\n")
    assert read_dataset(project.dataset("labelled"))["instruction"].unique().to_list() == ["如何过河？"]
    assert read_dataset(project.dataset("judged"))["verdict"].unique().to_list() == ["good"]
    assert read_dataset(project.dataset("polished")).height == ROWS


def test_a_stage_that_is_killed_asks_only_for_what_is_missing(tmp_path: Path) -> None:
    """At most the rows of one batch, 8 times the concurrency, are asked again."""
    enough, killed = threading.Event(), threading.Event()

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(0.01)
        if len(handler.server.asked()) > 25:
            enough.set()
            killed.wait(60)
        politely(handler, body)

    with scripted(answer) as server:
        project = prepared(tmp_path, server.url)
        process = start(project, "label")
        assert enough.wait(120)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed.set()
        assert finished(project) == 16, "one batch of two that were begun"
    with scripted(politely) as server:
        project = prepared(tmp_path, server.url)
        code, _, err = run(project, "label")
        assert (code, len(server.asked())) == (0, ROWS - 16), err
        assert f"label: 16 rows are already computed, {ROWS - 16} to do" in err
        assert run(project, "label")[0] == 0
        assert len(server.bodies) == ROWS - 16 + 1, "then nothing is missing, and nobody is asked"
    assert read_dataset(project.dataset("labelled")).height == ROWS


def finished(project: Project) -> int:
    """Rows of the label stage in scratch, whatever their settings."""
    segments = sorted((project.root / "scratch" / "work" / "label").glob("*/seg-*.parquet"))
    return pl.read_parquet(segments, columns=["key"])["key"].n_unique()


def test_the_ledger_says_why_a_row_failed(tmp_path: Path) -> None:
    refused = prose(ROWS)[5]

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        if refused in message_of(body):
            return handler.error(400, "too long for me")
        return politely(handler, body)

    with scripted(answer) as server:
        project = prepared(tmp_path, server.url)
        assert run(project, "label")[0] == 0
        row = ledger(project, "label").row(0, named=True)
        assert (row["status"], row["reason"], row["value"]) == ("failed", "bad_request", "HTTP 400: too long for me")
        set_params(project, max_failed_share=0.0)
        code, _, err = run(project, "label")
    assert code == 2
    assert "1 of 40 rows failed, more than engine.max_failed_share 0.0 (bad_request 1 times: HTTP 400: too long" in err


def set_params(project: Project, **values: Any) -> None:
    path = project.root / "params.yaml"
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    tree["engine"] |= values
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")


def one_line(err: str) -> str:
    (line,) = [line for line in err.splitlines() if line.startswith("kun: ")]
    assert "Traceback" not in err
    return line


def test_a_stage_stops_at_its_cost_and_keeps_what_was_paid(tmp_path: Path) -> None:
    with scripted(politely) as server:
        project = prepared(tmp_path, server.url, price_in=1e5, max_cost=20.0)  # 1 a request
        code, _, err = run(project, "label")
        assert code == 2
        assert re.search(r"'some-model' has cost 2\d in this stage, engine\.server\.max_cost is 20", one_line(err))
        paid = len(server.asked())
        assert 19 <= paid <= 21, "what was under way is paid too"
        assert finished(project) == paid
        prepared(tmp_path, server.url, price_in=1e5, max_cost=1000.0)
        assert run(project, "label")[0] == 0
        assert len(server.asked()) == ROWS, "nothing is paid twice"


@pytest.mark.parametrize(
    ("change", "asked"),
    [({}, 0), ({"concurrency": 5}, 0), ({"models": "other"}, ROWS), ({"extra": {"top_k": 5}}, ROWS)],
)
def test_a_server_may_move_but_another_model_computes_anew(tmp_path: Path, change: dict[str, Any], asked: int) -> None:
    with scripted(politely) as first:
        project = prepared(tmp_path, first.url)
        label(project, PARAMS.label, served(first.url, "some-model"))
    with scripted(politely) as second:
        assert second.url != first.url
        label(project, PARAMS.label, served(second.url, **{"models": "some-model", **change}))
        assert len(second.asked()) == asked


def served(url: str, models: Any, **values: Any) -> Engine:
    server = changed(PARAMS.engine.server, url=url, models=models, **values)
    return changed(PARAMS.engine, backend="openai", server=server)


def test_a_stage_asks_for_the_model_that_the_server_trained_for_it() -> None:
    three = served("http://127.0.0.1:9/v1", {"base": "a", "label": "b", "chat": "c"})
    roles = ("base", "label", "chat")
    assert [served_model(three, role) for role in roles] == ["a", "b", "c"]
    assert served_model(three, "teacher") == "a", "the base model, as with model.teacher"
    assert [served_model(served("http://127.0.0.1:9/v1", "strong"), role) for role in roles] == ["strong"] * 3
    assert served_model(served("http://127.0.0.1:9/v1", {"base": "a", "teacher": "t"}), "teacher") == "t"
    with pytest.raises(ConfigError, match=r"engine\.server\.models names no model for `label`; .* one name for all"):
        served_model(served("http://127.0.0.1:9/v1", {"chat": "c"}), "label")


def test_a_scorer_of_its_own_is_asked_for_as_the_base_model(tmp_path: Path) -> None:
    """Servers know no scorer; what they cannot score is said by the stage."""
    roles = [role(Project(tmp_path, pinned=pinned), None) for pinned in ("base", "teacher", "scorer")]
    assert [*roles, role(Project(tmp_path), "chat")] == ["base", "teacher", "base", "chat"]


def test_batches_are_a_few_times_what_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the rows are: with batches of 16,384 tokens most places would be empty."""
    sizes: list[int] = []

    class Batches:
        def generate(self, prompts: list[str], sampling: Sampling) -> list[Any]:
            sizes.append(len(prompts))
            return [Completion("好", "stop", 1) for _ in prompts]

        def gauge(self) -> Gauge:
            return Gauge("server", pads=False)

    stage = ModelStage(Project(tmp_path), "label", served("http://127.0.0.1:9/v1", "m", concurrency=10), "label")
    monkeypatch.setattr(stage, "model", Batches)
    stage.generate([f"{number}" + "河" * 4000 for number in range(100)], Sampling(16))
    assert sizes == [80, 20]
