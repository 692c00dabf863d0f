"""What rows cost is kept beside them, whatever dies, and adds up."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kun.engine.base import Gauge
from kun.params import Engine
from kun.work.run import Task, run_task
from kun.work.telemetry import Meter, Work, lines, work_of
from tests.copies import OFFLINE_GUARD, ROOT
from tests.made import FAKE, changed

THREE = changed(FAKE, max_rows=3, batch_tokens=10_000)
PAYLOADS = [f"{'河' * (number % 5)}{number:02}" for number in range(12)]
SIZES = [len(payload) for payload in PAYLOADS]


def run(root: Path, payloads: Sequence[str] = PAYLOADS, engine: Engine = THREE, gauge: Any = Gauge) -> Work:
    """The work of a stage whose every row says three tokens."""

    def compute(batch: Sequence[str]) -> list[dict[str, Any]]:
        return [{"n_new": 3} for _ in batch]

    told: list[Work] = []
    task = Task("made", {}, {"n_new": pl.Int64}, lambda: compute, gauge, told.append)
    run_task(task, payloads, [len(payload) + 3 for payload in payloads], root, engine, list(map(len, payloads)))
    return told[0]


def test_figures_add_up(tmp_path: Path) -> None:
    gauge = Gauge("cpu", "float32", "sdpa")
    work = run(tmp_path, gauge=lambda: gauge)
    figures = work.metrics("made")
    assert (figures["rows"], figures["measured"], figures["failed"], figures["from_scratch"]) == (12, 12, 0, 0.0)
    assert (figures["tokens_in"], figures["tokens_out"]) == (sum(SIZES), 36)
    assert (figures["device"], figures["dtype"], figures["attention"]) == ("cpu", "float32", "sdpa")
    assert figures["peak_memory_mb"] > 10
    assert figures["processes"] == 1
    assert work.seconds > 0
    assert work.device_seconds >= work.seconds
    longest_first = sorted(SIZES, reverse=True)
    padded = sum(3 * longest_first[start] for start in range(0, 12, 3))
    assert figures["padding"] == round(1 - sum(SIZES) / padded, 4)


def test_rows_from_scratch_cost_what_they_cost_when_they_were_computed(tmp_path: Path) -> None:
    first, again = run(tmp_path).metrics("made"), run(tmp_path).metrics("made")
    assert again.pop("from_scratch") == 1.0
    assert first.pop("from_scratch") == 0.0
    assert again == first


def test_rows_that_a_stage_no_longer_has_do_not_count(tmp_path: Path) -> None:
    whole, part = run(tmp_path), run(tmp_path, PAYLOADS[:5])
    assert (part.rows, part.measured, part.reused) == (5, 5, 5)
    assert 0 < part.seconds < whole.seconds


def test_new_rows_add_to_the_old_ones(tmp_path: Path) -> None:
    run(tmp_path, PAYLOADS[:6])
    both = run(tmp_path)
    assert both.metrics("made")["from_scratch"] == 0.5
    assert (both.measured, both.tokens_in) == (12, sum(SIZES))


def test_rows_of_older_versions_have_no_figures(tmp_path: Path) -> None:
    run(tmp_path, PAYLOADS[:6])
    for file in tmp_path.rglob("cost-*"):
        file.unlink()
    work = run(tmp_path)
    assert (work.rows, work.measured) == (12, 6)


def test_a_server_counts_itself(tmp_path: Path) -> None:
    counted = iter(range(100))

    def gauge() -> Gauge:
        n = next(counted)
        return Gauge("server", pads=False, tokens_in=1000 + 10 * n, tokens_out=n, cost=0.5 * n)

    figures = run(tmp_path, gauge=gauge).metrics("made")
    assert (figures["tokens_in"], figures["tokens_out"], figures["cost"]) == (40, 4, 2.0), "four batches"


def test_processes_share_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(tmp_path, {"a": 5, "b": 7}, Gauge)
    monkeypatch.setattr("kun.processes.world_size", lambda: 2)
    meter.load(lambda: lambda batch: [{}, {}])(["a", "b"])
    line = meter.note(["a", "b"], [{}, {}])
    work = work_of(tmp_path, {"a", "b"})
    assert work.seconds == pytest.approx(line["seconds"] / 2)
    assert work.device_seconds == pytest.approx(line["seconds"] + line["loading"])


def test_a_torn_line_is_no_line(tmp_path: Path) -> None:
    meter = Meter(tmp_path, {"a": 5, "b": 7}, Gauge)
    meter.note(["a"], [{}])
    meter.note(["b"], [{}])
    (file,) = tmp_path.glob("cost-*")
    file.write_bytes(file.read_bytes()[:-30])
    assert [line["keys"] for line in lines(tmp_path)] == [["a"]]


def test_of_two_lines_about_a_row_one_counts(tmp_path: Path) -> None:
    """Killed between the line and the rows: they are computed again."""
    for _ in range(2):
        Meter(tmp_path, {"a": 5}, Gauge).note(["a"], [{}])
    assert work_of(tmp_path, {"a"}).tokens_in == 5


def test_sums_add_and_peaks_stay() -> None:
    both = Work(rows=2, seconds=1.5, memory=70, device={"cpu"}) + Work(rows=3, seconds=1.0, memory=50, device={"cpu"})
    assert (both.rows, both.seconds, both.memory, both.device) == (5, 2.5, 70, {"cpu"})


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from tests.work import test_telemetry as made
    from kun.work import run

    append, calls = run.Scratch.append, []

    def dying(self, rows):
        append(self, rows)
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    run.Scratch.append = dying
    made.run(Path(sys.argv[1]))
"""


def test_a_killed_run_and_its_rerun_count_together(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{OFFLINE_GUARD}"}
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (file,) = tmp_path.rglob("cost-*.jsonl")
    killed = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(killed) == 2
    work = run(tmp_path)
    assert (work.rows, work.reused, work.measured, work.tokens_in) == (12, 6, 12, sum(SIZES))
    assert len(list(tmp_path.rglob("cost-*.jsonl"))) == 2
    (folder,) = {file.parent for file in tmp_path.rglob("cost-*.jsonl")}
    assert work.seconds == pytest.approx(sum(line["seconds"] for line in lines(folder)))
