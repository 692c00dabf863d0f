import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from kun.errors import InputError, WorkerDied
from kun.work.parts import CODE, KEEP_DAYS, Part, PartWriter, Piece, code_key, compute_parts, file_key

ROOT = Path(__file__).parents[2]


def double(log: Path, number: int, out: PartWriter) -> None:
    """Work that leaves a trace of each call."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{number} {os.getpid()}\n")
    out.facts["number"] = number
    out.write("rows", pl.DataFrame({"value": [2 * number]}))
    out.write("rows", pl.DataFrame({"value": [2 * number + 1]}))
    out.write("none", pl.DataFrame({"value": []}))


def refuse(number: int, out: PartWriter) -> None:
    out.write("rows", pl.DataFrame({"value": [number]}))
    if number == 3:
        raise InputError("three cannot be read; mend it")


def die(number: int, out: PartWriter) -> None:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)


def pieces(*numbers: int) -> list[Piece]:
    return [Piece(f"key{number}", number, 1) for number in numbers]


def run(root: Path, numbers: tuple[int, ...], work: Any, **settings: Any) -> list[Part]:
    return compute_parts(root, "doubling", settings, pieces(*numbers), work, "processes")


def calls(log: Path) -> list[int]:
    return sorted(int(line.split()[0]) for line in log.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("numbers", [(5,), (5, 1, 4, 2)], ids=["one process", "several"])
def test_parts_come_in_order_and_each_piece_is_computed_once(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    log = tmp_path / "log"
    parts = run(tmp_path, numbers, partial(double, log))
    assert [part.facts()["number"] for part in parts] == list(numbers)
    tables = [pl.read_parquet(table)["value"].to_list() for part in parts for table in part.tables("rows")]
    assert tables == [[value] for number in numbers for value in (2 * number, 2 * number + 1)]
    assert parts[0].tables("none") == [], "an empty table is left out"
    run(tmp_path, (7, *numbers), partial(double, log))
    assert calls(log) == sorted((7, *numbers)), "only the new piece"
    run(tmp_path, numbers, partial(double, log), other=1)
    assert len(calls(log)) == 1 + 2 * len(numbers), "other settings, other results"


@pytest.mark.parametrize("numbers", [(3,), (1, 2, 3, 4)], ids=["one process", "several"])
def test_an_error_of_the_work_is_told_and_leaves_no_half_part(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="three cannot be read"):
        run(tmp_path, numbers, refuse)
    home = next((tmp_path / "parts" / "doubling").iterdir())
    assert not (home / "key3").exists()
    assert not list(home.glob(".*.tmp"))


def test_a_killed_worker_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkerDied, match="finished pieces are kept, run again"):
        run(tmp_path, (1, 2, 3, 4), die)


def slow(log: Path, number: int, out: PartWriter) -> None:
    double(log, number, out)
    time.sleep(0.3)


def test_killing_the_main_process_costs_only_what_was_under_way(tmp_path: Path) -> None:
    """Its workers end with it; what they had finished is there, and the rest is computed by the next run."""
    script = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from tests.work.test_parts import run, slow\n"
        "if __name__ == '__main__': run(Path(sys.argv[1]), tuple(range(20)), partial(slow, Path(sys.argv[1]) / 'log'))\n"
    )
    (tmp_path / "go.py").write_text(script, encoding="utf-8")
    started = subprocess.Popen(
        [sys.executable, "go.py", str(tmp_path)], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    main = psutil.Process(started.pid)
    while len(list(tmp_path.glob("parts/doubling/*/key*"))) < 3:
        assert started.poll() is None
        time.sleep(0.02)
    workers = main.children(recursive=True)
    main.kill()
    started.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive, "no worker outlives the main process"
    done = len(list(tmp_path.glob("parts/doubling/*/key*")))
    assert 3 <= done < 20
    log = tmp_path / "log"
    before = len(calls(log))
    parts = run(tmp_path, tuple(range(20)), partial(double, log))
    assert [part.facts()["number"] for part in parts] == list(range(20))
    assert len(calls(log)) - before == 20 - done


@pytest.mark.parametrize("damage", ["cut", "facts", "gone"])
def test_a_damaged_part_is_computed_again(tmp_path: Path, damage: str) -> None:
    (part,) = run(tmp_path, (1,), partial(double, tmp_path / "log"))
    table = part.tables("rows")[0]
    if damage == "cut":
        table.write_bytes(table.read_bytes()[:-5])
    elif damage == "facts":
        (part.folder / "facts.json").write_text("")
    else:
        table.unlink()
    (part,) = run(tmp_path, (1,), partial(double, tmp_path / "log"))
    assert [pl.read_parquet(table)["value"].item() for table in part.tables("rows")] == [2, 3]
    assert calls(tmp_path / "log") == [1, 1]


def test_two_runs_at_once_make_one_part(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: run(tmp_path, (1,), partial(double, tmp_path / "log")), range(20)))
    assert len({part.folder for parts in found for part in parts}) == 1
    assert found[0][0].facts()["number"] == 1


def test_parts_that_nobody_used_for_long_are_deleted(tmp_path: Path) -> None:
    old, new = run(tmp_path, (1, 2), partial(double, tmp_path / "log"))
    long_ago = time.time() - (KEEP_DAYS + 1) * 86_400
    os.utime(old.folder, (long_ago, long_ago))
    run(tmp_path, (2,), partial(double, tmp_path / "log"))
    assert not old.folder.exists()
    assert new.folder.exists()


def test_a_clock_that_goes_backwards_loses_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used, other = run(tmp_path, (1, 2), partial(double, tmp_path / "log"))
    for part in (used, other):
        os.utime(part.folder, (4e9, 4e9))  # written in 2096
    clock = itertools.count(1e9, -3600)
    monkeypatch.setattr(time, "time", lambda: next(clock))
    run(tmp_path, (1,), partial(double, tmp_path / "log"))
    assert (used.is_whole(), other.is_whole()) == (True, True)
    assert calls(tmp_path / "log") == [1, 2]


def test_keys_follow_content(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"river")
    shutil.copy(one, other)
    assert file_key(one) == file_key(other)
    other.write_bytes(b"rivers")
    assert file_key(one) != file_key(other)


def test_the_key_of_the_code_follows_each_file_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for code in (CODE, CODE[1:], (*CODE, "errors.py")):
        monkeypatch.setattr("kun.work.parts.CODE", code)
        code_key.cache_clear()
        keys.add(code_key())
    code_key.cache_clear()
    assert len(keys) == 3
    assert all(list((ROOT / "kun").glob(part)) for part in CODE)
