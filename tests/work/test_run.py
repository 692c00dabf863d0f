import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kun import processes
from kun.errors import OutOfMemory, Stopped, TooManyFailed, WorkerDied
from kun.params import Engine
from kun.work import batches as module
from kun.work.run import Task, run_task
from kun.work.scratch import Scratch, content_key
from tests.made import FAKE, changed


def pause(machine: "Machine", batch: Sequence[str]) -> None:
    time.sleep(0.05)


SCHEMA = {"text": pl.String, "n": pl.Int64}
FOUR = changed(FAKE, max_rows=4, batch_tokens=10_000)


class Machine:
    """Counts what it computes; turns a payload into its text and length."""

    def __init__(self, fails: Callable[["Machine", Sequence[str]], None] = lambda machine, batch: None) -> None:
        self.batches: list[list[str]] = []
        self.loads = 0
        self._fails = fails

    def load(self) -> Callable[[Sequence[str]], list[dict[str, Any]]]:
        self.loads += 1
        return self.compute

    def compute(self, batch: Sequence[str]) -> list[dict[str, Any]]:
        self._fails(self, batch)
        self.batches.append(list(batch))
        return [{"text": f"<{payload}>", "n": len(payload)} for payload in batch]


def run(root: Path, machine: Machine, payloads: Sequence[str], engine: Engine = FOUR, **settings: Any) -> pl.DataFrame:
    task = Task("made", settings, SCHEMA, machine.load)
    result = run_task(task, payloads, [len(payload) for payload in payloads], root, engine)
    assert result is not None
    return result


PAYLOADS = [f"{'河' * (number % 7)}{number}" for number in range(18)]


def test_results_come_in_the_order_of_the_payloads(tmp_path: Path) -> None:
    machine = Machine()
    result = run(tmp_path, machine, PAYLOADS)
    assert result.rows() == [(f"<{payload}>", len(payload)) for payload in PAYLOADS]
    assert [len(batch) for batch in machine.batches] == [4, 4, 4, 4, 2]
    assert result.schema == SCHEMA


def test_a_second_run_computes_nothing_and_loads_no_model(tmp_path: Path) -> None:
    first = run(tmp_path, Machine(), PAYLOADS)
    machine = Machine()
    assert run(tmp_path, machine, PAYLOADS).equals(first)
    assert (machine.loads, machine.batches) == (0, [])
    more = Machine()
    assert run(tmp_path, more, ["new", *PAYLOADS])["text"].to_list()[0] == "<new>"
    assert more.batches == [["new"]], "only what is missing"
    other = Machine()
    run(tmp_path, other, PAYLOADS, seed=8)
    assert sum(map(len, other.batches)) == len(PAYLOADS), "other settings share no results"


def test_equal_payloads_are_computed_once_and_come_back_in_each_place(tmp_path: Path) -> None:
    machine = Machine()
    assert run(tmp_path, machine, ["a", "b", "a"])["text"].to_list() == ["<a>", "<b>", "<a>"]
    assert sorted(machine.batches[0]) == ["a", "b"]


def test_no_payloads_are_no_work(tmp_path: Path) -> None:
    machine = Machine()
    result = run(tmp_path, machine, [])
    assert (result.height, result.schema, machine.loads) == (0, SCHEMA, 0)


def test_after_a_crash_only_the_rest_is_computed_in_the_same_batches(tmp_path: Path) -> None:
    whole = Machine()
    expected = run(tmp_path / "whole", whole, PAYLOADS)

    def crash(machine: Machine, batch: Sequence[str]) -> None:
        if len(machine.batches) == 3:
            raise RuntimeError("the power is gone")

    crashed = Machine(crash)
    with pytest.raises(RuntimeError, match="power"):
        run(tmp_path / "torn", crashed, PAYLOADS)
    assert len(crashed.batches) == 3
    resumed = Machine()
    assert run(tmp_path / "torn", resumed, PAYLOADS).equals(expected)
    assert crashed.batches + resumed.batches == whole.batches
    assert resumed.loads == 1


def too_large(rows: int) -> Callable[[Machine, Sequence[str]], None]:
    def fails(machine: Machine, batch: Sequence[str]) -> None:
        if len(batch) > rows:
            raise OutOfMemory("no room")

    return fails


@pytest.mark.parametrize(("rows", "sizes"), [(4, [4, 4]), (3, [2, 2, 2, 2]), (1, [1] * 8)])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(tmp_path: Path, rows: int, sizes: list[int]) -> None:
    machine = Machine(too_large(rows))
    result = run(tmp_path, machine, PAYLOADS[:8])
    assert [len(batch) for batch in machine.batches] == sizes
    assert result["text"].to_list() == [f"<{payload}>" for payload in PAYLOADS[:8]]


def one_too_large(machine: Machine, batch: Sequence[str]) -> None:
    if PAYLOADS[6] in batch:
        raise OutOfMemory("no room")


def test_a_row_that_never_fits_is_null_and_is_tried_again(tmp_path: Path) -> None:
    lenient = changed(FOUR, max_failed_share=0.2)
    machine = Machine(one_too_large)
    result = run(tmp_path, machine, PAYLOADS, lenient)
    assert result.row(6) == (None, None)
    assert result.drop_nulls().height == len(PAYLOADS) - 1, "its neighbours do not suffer"
    assert list(tmp_path.rglob("failed-*")) == []
    again = Machine()
    assert run(tmp_path, again, PAYLOADS, lenient).row(6) == (f"<{PAYLOADS[6]}>", len(PAYLOADS[6]))
    assert again.batches == [[PAYLOADS[6]]]


def test_too_many_failures_stop_the_stage_and_keep_what_succeeded(tmp_path: Path) -> None:
    with pytest.raises(TooManyFailed, match=r"made: 1 of 18 rows failed, more than engine\.max_failed_share") as caught:
        run(tmp_path, Machine(one_too_large), PAYLOADS, changed(FOUR, max_failed_share=1 / 19))
    assert "\n" not in str(caught.value)
    assert "run again to retry" in str(caught.value)
    machine = Machine()
    run(tmp_path, machine, PAYLOADS)
    assert machine.batches == [[PAYLOADS[6]]]


def test_the_limit_of_failures_itself_is_allowed(tmp_path: Path) -> None:
    result = run(tmp_path, Machine(one_too_large), PAYLOADS[:10], changed(FOUR, max_failed_share=0.1))
    assert result["text"].null_count() == 1


def test_marks_of_a_killed_run_do_not_count(tmp_path: Path) -> None:
    """Claims of dead processes would leave their batches undone; failures of a dead run are no failures of this one."""
    run(tmp_path, Machine(), PAYLOADS[:1])
    (folder,) = (path.parent for path in tmp_path.rglob("settings.json"))
    plan = json.loads((folder / "plan.json").read_text())
    (folder / f"claim-{plan[0][0]}").touch()
    for segment in folder.glob("seg-*"):
        segment.unlink()
    (folder / "failed-0123").write_text("out of memory", encoding="utf-8")
    machine = Machine()
    assert run(tmp_path, machine, PAYLOADS[:1])["text"].to_list() == [f"<{PAYLOADS[0]}>"]
    assert list(folder.glob("failed-*")) == []


def test_ranks_share_one_plan_and_no_batch_is_computed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads stand for two processes: files and claims are the real ones."""
    meeting = threading.Barrier(2)
    monkeypatch.setattr(processes, "wait_for_all", lambda: meeting.wait(20))
    monkeypatch.setattr(processes, "rank", lambda: int(threading.current_thread().name == "helper"))
    main, helper, told = Machine(pause), Machine(pause), []

    def help_out() -> None:
        task = Task("made", {}, SCHEMA, helper.load)
        told.append(run_task(task, PAYLOADS, [len(payload) for payload in PAYLOADS], tmp_path, FOUR))

    thread = threading.Thread(target=help_out, name="helper")
    thread.start()
    result = run(tmp_path, main, PAYLOADS)
    thread.join()
    assert told == [None], "the helper has nothing to write"
    assert result["text"].to_list() == [f"<{payload}>" for payload in PAYLOADS]
    assert main.batches and helper.batches
    assert sorted(payload for batch in main.batches + helper.batches for payload in batch) == sorted(PAYLOADS)


def test_the_main_rank_waits_for_a_slow_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when a killed run left the mark that one of the helper's rows had failed."""
    run(tmp_path, Machine(), [])
    folder = Scratch(tmp_path, "made", {}, SCHEMA).folder
    keys = [content_key(payload) for payload in PAYLOADS]
    for key in keys:
        (folder / f"failed-{key}").touch()
    claimed = threading.Event()
    helping = threading.Event()

    def slow() -> None:
        scratch = Scratch(tmp_path, "made", {}, SCHEMA)
        with scratch.helping():
            helping.set()
            claimed.wait(10)
            time.sleep(0.6)
            scratch.append(pl.DataFrame([{"key": key, "text": "by the helper", "n": 0} for key in keys]))

    helper = threading.Thread(target=slow)
    helper.start()
    helping.wait(10)
    monkeypatch.setattr(module, "_claim", lambda file: claimed.set())  # the helper was faster, each time
    assert run(tmp_path, Machine(), PAYLOADS)["text"].to_list() == ["by the helper"] * len(PAYLOADS)
    helper.join()


def test_batches_of_a_dead_helper_end_the_run_and_are_computed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another machine nobody tells the main rank; the lock that the helper held does."""
    real, claims = module._claim, itertools.count()
    monkeypatch.setattr(module, "_claim", lambda file: next(claims) > 0 and real(file))  # it had the first
    machine = Machine()
    with pytest.raises(WorkerDied, match="made: 4 rows have no result, since a process of the launch died") as caught:
        run(tmp_path, machine, PAYLOADS)
    assert "\n" not in str(caught.value)
    assert len(machine.batches) == 4, "what the dead one had not claimed was computed"
    monkeypatch.undo()
    again = Machine()
    assert run(tmp_path, again, PAYLOADS)["text"].to_list() == [f"<{payload}>" for payload in PAYLOADS]
    assert [len(batch) for batch in again.batches] == [4]


def test_progress_names_the_stage_the_rows_and_what_was_reused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kun.work.progress.QUICK_SECONDS", 0)
    run(tmp_path, Machine(), PAYLOADS[:8])
    run(tmp_path, Machine(), PAYLOADS)
    told = capsys.readouterr()
    assert "made: 8/8 rows" in told.err
    assert "made: 8 rows are already computed, 10 to do" in told.err
    assert told.out == ""


# Faults


def ask_to_stop(batches: int) -> Callable[[Machine, Sequence[str]], None]:
    """SIGTERM in the midst of the batch behind so many."""

    def fails(machine: Machine, batch: Sequence[str]) -> None:
        if len(machine.batches) == batches:
            os.kill(os.getpid(), signal.SIGTERM)

    return fails


@pytest.mark.parametrize("batches", [1, 4])
def test_a_process_that_is_asked_to_stop_finishes_its_batch(tmp_path: Path, batches: int) -> None:
    """As torchrun asks when another rank died; behind the last batch it ends all the same."""
    before = signal.getsignal(signal.SIGTERM)
    machine = Machine(ask_to_stop(batches))
    with pytest.raises(Stopped, match="made: stopped by SIGTERM; finished batches are kept, run again") as caught:
        run(tmp_path, machine, PAYLOADS)
    assert "\n" not in str(caught.value)
    assert len(machine.batches) == batches + 1
    del caught
    again = Machine()
    assert run(tmp_path, again, PAYLOADS)["text"].to_list() == [f"<{payload}>" for payload in PAYLOADS]
    assert len(again.batches) == 5 - len(machine.batches)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_rank_whose_launcher_was_killed_stops_behind_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would tell it that another rank has died."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(processes, "wait_for_all", lambda: None)

    def orphan(machine: Machine, batch: Sequence[str]) -> None:
        monkeypatch.setattr(os, "getppid", lambda: 1)

    machine = Machine(orphan)
    with pytest.raises(Stopped, match="made: stopped, for the launcher was killed"):
        run(tmp_path, machine, PAYLOADS)
    assert len(machine.batches) == 1


def test_a_spoilt_segment_costs_its_rows_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Machine()
    expected = run(tmp_path, whole, PAYLOADS)
    segment = sorted(tmp_path.rglob("seg-*"))[2]
    lost = pl.read_parquet(segment)["text"].to_list()
    content = segment.read_bytes()
    segment.write_bytes(content[:30] + bytes([content[30] ^ 4]) + content[31:])
    again = Machine()
    assert run(tmp_path, again, PAYLOADS).equals(expected)
    assert [[f"<{payload}>" for payload in batch] for batch in again.batches] == [lost], "in the batch of the kept plan"
    assert "is spoilt; moved to spoilt-" in capsys.readouterr().err


def test_a_spoilt_plan_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, Machine(ask_to_stop(1)), PAYLOADS)
    (plan,) = tmp_path.rglob("plan.json")
    plan.write_bytes(plan.read_bytes()[:50])
    again = Machine()
    assert run(tmp_path, again, PAYLOADS)["text"].to_list() == [f"<{payload}>" for payload in PAYLOADS]
    assert sum(map(len, again.batches)) == len(PAYLOADS) - 8
    assert capsys.readouterr().err.splitlines()[0] == f"{plan} is spoilt; the missing rows are planned anew"


def test_a_clock_that_goes_backwards_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, Machine(ask_to_stop(1)), PAYLOADS)
    for path in tmp_path.rglob("*"):
        os.utime(path, (4e9, 4e9))  # written in 2096
    clock = itertools.count(1e9, -3600)
    monkeypatch.setattr(time, "time", lambda: next(clock))
    again = Machine()
    assert run(tmp_path, again, PAYLOADS)["text"].to_list() == [f"<{payload}>" for payload in PAYLOADS]
    assert len(again.batches) == 3, "finished work from the future counts"


def test_memory_that_does_not_do_for_a_batch_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, Machine(too_large(2)), PAYLOADS)
    longest = 4 * max(map(len, PAYLOADS))
    assert capsys.readouterr().err.splitlines() == [
        f"made: a batch of 4 rows, {longest} tokens, does not fit into memory; such batches are halved, "
        "a lower engine.batch_tokens or engine.max_rows saves the attempts"
    ]
