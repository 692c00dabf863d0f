"""Kill the pipeline again and again while it trains and generates, let it end, and look at what that cost.

`python -m tests.kill_many 20` does it by hand; tests/test_kill.py does the same with fewer kills. The stages before training
are taken as done, so that every kill meets model work; data that comes out equal leaves its gate untouched.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import polars as pl
import psutil
import yaml

from kun.config import load_params
from tests.copies import Copy, copy_project, duplicate
from tests.tiny import make_tiny_model

WORK = ("train-label", "train-chat", "label", "judge", "polish")
"""Scratch folders of what is killed, in the order in which they are filled."""

STAGES = ("train@label", "train@chat", "label", "judge", "polish")
"""Their stages."""

PRODUCTS = (
    "models/label",
    "models/chat",
    "reports/train",
    "data/labelled",
    "data/judged",
    "data/polished",
    "data/pairs",
)
"""Folders of those stages, and what comes of them: all that must be as if nothing had happened."""

COMPARED = (*PRODUCTS, "data/instructions", "data/rejects", "reports/counts")

COMMANDS = (("dvc", "repro", "pairs"), ("dvc", "exp", "run", "pairs"))
KILLS_A_ROUND = 10
TRAINED = 10**9  # pieces of a training run that is over: its checkpoints are gone
PATIENCE = 300.0  # seconds until a start must have done what is waited for


@dataclass(frozen=True)
class Kill:
    """One start that was ended by force."""

    command: str
    stage: str
    wanted: int
    """Pieces of the stage's work that were waited for: segments of results, or training steps."""
    delay: float
    """Seconds between that and the kill."""
    done: dict[str, int]
    """Pieces of all work on disk afterwards."""
    told: str
    """stderr of the start."""


@dataclass
class Outcome:
    """What a round of kills left behind."""

    copy: Copy
    kills: list[Kill] = field(default_factory=list)
    told: str = ""
    """Output of the last start, which went to the end."""


def kill_many(finished: Copy, folder: Path, kills: int, seed: int) -> list[Outcome]:
    """As many rounds as `kills` asks for; `finished` is the uninterrupted run."""
    rng = random.Random(seed)
    sizes = [min(KILLS_A_ROUND, kills - start) for start in range(0, kills, KILLS_A_ROUND)]
    return [_kill_round(finished, folder / f"round-{number}", size, rng) for number, size in enumerate(sizes)]


def differences(outcome: Outcome, finished: Copy) -> list[str]:
    """Files whose bytes are not those of the uninterrupted run, or that only one of the two has."""
    found = []
    for product in COMPARED:
        ours, theirs = _contents(outcome.copy.root / product), _contents(finished.root / product)
        found += [f"{product}/{name}" for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    return found


def computed_again(copy: Copy) -> dict[str, int]:
    """Stage -> scratch keys that lie in more than one segment: work that was done twice."""
    twice = {}
    for stage in WORK[2:]:
        keys = pl.concat([pl.read_parquet(file, columns=["key"]) for file in _segments(copy, stage)])["key"]
        if repeated := keys.len() - keys.n_unique():
            twice[stage] = repeated
    return twice


def trained_again(outcome: Outcome) -> list[str]:
    """Starts whose training told a step that an earlier start had saved."""
    found = []
    saved = dict.fromkeys(WORK, 0)
    for number, told in enumerate([*(kill.told for kill in outcome.kills), outcome.told]):
        for name, steps in _told_steps(told).items():
            if steps[0] <= saved[name]:
                found.append(f"start {number + 1}: {name} at step {steps[0]}, but step {saved[name]} was saved before")
        if number < len(outcome.kills):
            saved = outcome.kills[number].done
    return found


def _kill_round(finished: Copy, folder: Path, kills: int, rng: random.Random) -> Outcome:
    """Start, kill, start again, ..., and at last let it end."""
    outcome = Outcome(_unfinished(finished, folder))
    whole = {name: _whole(finished, name) for name in WORK}
    stages = [WORK[int((number + 0.5) * len(WORK) / kills)] for number in range(kills)]
    moments = sorted((WORK.index(stage), rng.randint(1, whole[stage] - 1)) for stage in stages)
    for (place, wanted), command in zip(moments, cycle(COMMANDS), strict=False):
        # Mostly at once; now and then late, to meet DVC's books or the start of the next stage.
        delay = rng.uniform(0, 0.2) if rng.random() < 0.7 else rng.uniform(0, 5)
        outcome.kills.append(_start_and_kill(outcome.copy, command, WORK[place], wanted, delay))
    outcome.told = outcome.copy.must(*COMMANDS[0])
    return outcome


def _unfinished(finished: Copy, folder: Path) -> Copy:
    """A duplicate in which nothing is left of the model work from training on: no output, record, cache or scratch."""
    copy = duplicate(finished, folder)
    lock = copy.root / "dvc.lock"
    recorded = yaml.safe_load(lock.read_text(encoding="utf-8"))
    for stage in STAGES:
        del recorded["stages"][stage]
    lock.write_text(yaml.safe_dump(recorded, sort_keys=False), encoding="utf-8")
    for path in [*(copy.root / name for name in PRODUCTS), copy.root / ".dvc/cache/runs", copy.scratch]:
        shutil.rmtree(path)
    copy.commit()
    return copy


def _start_and_kill(copy: Copy, command: Sequence[str], stage: str, wanted: int, delay: float) -> Kill:
    """Start, wait for the work and then `delay` seconds, kill every process. One that ended by itself is started again."""
    log = copy.scratch.with_name("stderr.txt")
    with log.open("wb") as told:
        process = subprocess.Popen(
            command, cwd=copy.root, env=copy.env, stdout=subprocess.DEVNULL, stderr=told, start_new_session=True
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and _pieces(copy, stage) < wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(delay)
    finally:
        ended = process.poll()
        if ended is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert ended in (None, 0), f"{' '.join(command)} exits {ended}\n{log.read_text(encoding='utf-8')[-4000:]}"
    _wait_until_alone(copy)
    _mend_git(copy)
    if ended == 0:
        return _start_and_kill(copy, command, stage, wanted, delay / 2)
    done = {name: _pieces(copy, name) for name in WORK}
    return Kill(" ".join(command), stage, wanted, delay, done, log.read_text(encoding="utf-8"))


def _wait_until_alone(copy: Copy) -> None:
    """SIGKILL takes a moment; a process that left the group would work on, and hold the lock of the next start."""
    deadline = time.monotonic() + 10
    while found := _processes(copy):
        assert time.monotonic() < deadline, f"still alive: {found}"
        time.sleep(0.02)


def _processes(copy: Copy) -> list[str]:
    """Processes that work in the copy's folder."""
    return [
        " ".join(process.info["cmdline"] or ["?"])
        for process in psutil.process_iter(["cwd", "cmdline", "status"])
        if process.info["cwd"] == str(copy.root) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def _mend_git(copy: Copy) -> None:
    """A killed `dvc exp run` leaves HEAD at a commit of its own; put it back without touching a file."""
    if copy.run("git", "symbolic-ref", "-q", "HEAD").returncode:
        copy.must("git", "symbolic-ref", "HEAD", "refs/heads/main")
        copy.must("git", "reset", "-q")


def _pieces(copy: Copy, name: str) -> int:
    """Finished pieces of one kind of work: segments of results, or steps up to the last whole checkpoint."""
    if not name.startswith("train-"):
        return len(_segments(copy, name))
    folder = copy.scratch / "work" / name
    if any(folder.glob("*/best/complete")):
        return TRAINED
    return max((int(path.parent.name.split("-")[1]) for path in folder.glob("*/checkpoint-*/complete")), default=0)


def _whole(finished: Copy, name: str) -> int:
    """Pieces that a kind of work has from beginning to end."""
    if not name.startswith("train-"):
        return len(_segments(finished, name))
    train = load_params(finished.root / "params.yaml").train
    task = name.removeprefix("train-")
    summary = json.loads((finished.root / "reports/train" / f"{task}.json").read_text(encoding="utf-8"))
    epochs: int = getattr(train, task).epochs
    return int(summary["examples"]["train"]) // train.batch_rows * epochs


def _segments(copy: Copy, stage: str) -> list[Path]:
    return list((copy.scratch / "work" / stage).glob("*/seg-*.parquet"))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _told_steps(told: str) -> dict[str, list[int]]:
    """Training's scratch folder -> the steps that it told on stderr."""
    found: dict[str, list[int]] = {}
    for name, step in re.findall(r"train (label|chat): step (\d+)/", told):
        found.setdefault(f"train-{name}", []).append(int(step))
    return found


def main(kills: int, seed: int) -> None:
    """Run once without interruption, then kill; exit 1 when anything was lost or done twice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        finished = copy_project(folder / "finished", make_tiny_model(folder / "tiny"))
        finished.must("dvc", "repro", "pairs")
        faults: list[object] = []
        for outcome in kill_many(finished, folder, kills, seed):
            for kill in outcome.kills:
                print(f"{kill.command}: killed {kill.delay:.2f} s after {kill.stage} {kill.wanted}, done {kill.done}")
            faults += differences(outcome, finished) + trained_again(outcome)
            faults += [f"{stage}: {rows} rows twice" for stage, rows in computed_again(outcome.copy).items()]
    print(f"{kills} kills: {len(faults)} faults", *faults, sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main(kills=int(sys.argv[1]) if len(sys.argv) > 1 else 20, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 7)
