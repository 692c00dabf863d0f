"""kill -9 of a rank, of the launcher and of DVC at random moments of model work, in all of DVC's ways to run a stage.

    python -m bench.faults.kills 50

Each run kills once, waits until nothing is at work any more, starts again and compares all bytes with an uninterrupted run.
Exit 1 when a run loses a byte or a row, computes a finished batch again, or tells a traceback of ours.
"""

import random
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import polars as pl
import psutil

from bench.faults.launched import (
    MODES,
    PATIENCE,
    STAGES,
    claims,
    dvc_of,
    finish,
    forget,
    make_project,
    mend_git,
    products,
    ranks,
    segments,
    start,
    until,
)
from tests.copies import Copy, duplicate

VICTIMS = ("main rank", "other rank", "launcher", "dvc")


@dataclass(frozen=True)
class Killed:
    """What one kill cost."""

    mode: str
    victim: str
    stage: str
    done: int
    """Batches that were finished when the victim died."""
    redone: int
    """Batches that were begun and not finished by those who survived."""
    identical: bool
    twice: int
    """Rows that were computed although they were finished."""
    batches: int
    """Of the stage."""
    seconds: float
    """Of the second start, to its end."""
    told: tuple[str, ...]
    """Lines of kun's about the end of the first start; a queue's worker keeps them to itself."""
    traceback: bool

    @property
    def faults(self) -> list[str]:
        """Promises that were broken; who is not killed itself finishes its batch."""
        limit = 1 if self.victim.endswith("rank") else 0
        checks = {
            "other bytes": not self.identical,
            f"{self.redone} batches redone": self.redone > limit,
            f"{self.twice} finished rows computed again": self.twice > 0,
            "a traceback": self.traceback,
        }
        return [f"{self.mode}, {self.victim}, {self.stage}: {name}" for name, broken in checks.items() if broken]


def kill_once(copy: Copy, mode: str, victim: str, stage: str, whole: dict[str, bytes], rng: random.Random) -> Killed:
    """One kill at a random moment, and the start that ends the work."""
    log = copy.scratch.with_name("told.txt")
    done = _start_and_kill(copy, mode, victim, stage, log, rng)
    redone = claims(copy, stage) - len(segments(copy, stage))
    told = log.read_text(encoding="utf-8", errors="replace")
    mend_git(copy)
    started = time.monotonic()
    code = finish(copy, mode, stage, log)
    seconds = time.monotonic() - started
    assert code == 0, log.read_text(encoding="utf-8", errors="replace")[-4000:]
    keys = pl.concat([pl.read_parquet(file, columns=["key"]) for file in segments(copy, stage)])["key"]
    return Killed(
        mode,
        victim,
        stage,
        done,
        redone,
        products(copy, stage) == whole,
        keys.len() - keys.n_unique(),
        len(segments(copy, stage)),
        seconds,
        tuple(re.findall(r"^kun: (.+)$", told, re.MULTILINE)),
        f'File "{copy.root}/kun' in told,
    )


def _start_and_kill(copy: Copy, mode: str, victim: str, stage: str, log: Path, rng: random.Random) -> int:
    """Batches that were finished when the victim died; all processes have ended then."""
    forget(copy, stage)
    process = start(copy, mode, stage, log)
    until(lambda: len(ranks(copy)) == 2, "two ranks")
    alive = ranks(copy)
    wanted = rng.randint(-2, 12)
    if wanted < 0:
        time.sleep(rng.uniform(0, 4))  # while the ranks load
    else:
        until(lambda: len(segments(copy, stage)) >= wanted or not alive[0].is_running(), f"{wanted} batches", 0.002)
        time.sleep(rng.choice((0, rng.uniform(0, 0.1))))
    try:
        _find(alive, victim).kill()
        over = False
    except psutil.Error:
        over = True
    done = len(segments(copy, stage))
    process.wait(PATIENCE)
    until(lambda: not ranks(copy), "the end of all ranks")
    return _start_and_kill(copy, mode, victim, stage, log, rng) if over else done


def _find(alive: list[psutil.Process], victim: str) -> psutil.Process:
    if victim in VICTIMS[:2]:
        return alive[VICTIMS.index(victim)]
    launcher = alive[0].parent()
    return launcher if victim == "launcher" else dvc_of(launcher)


def table(found: list[Killed]) -> str:
    """A line for each way and victim; `in mid-work`: some batches were finished, and some not."""
    columns = ("way", "victim", "runs", "in mid-work", "identical", "redone at most", "done twice", "seconds")
    lines = [columns, ("---", "---", *["--:"] * 6)]
    for mode, victim in product(MODES, VICTIMS):
        if group := [killed for killed in found if (killed.mode, killed.victim) == (mode, victim)]:
            amid = sum(0 < killed.done < killed.batches for killed in group)
            identical, twice = sum(killed.identical for killed in group), sum(killed.twice for killed in group)
            redone = max(killed.redone for killed in group)
            seconds = round(statistics.median(killed.seconds for killed in group))
            figures = (len(group), amid, identical, redone, twice, seconds)
            lines.append((mode, victim, *map(str, figures)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(runs: int, seed: int) -> None:
    """Each way and victim in turn, stages by chance."""
    rng = random.Random(seed)
    cells = [(mode, victim) for victim, mode in product(VICTIMS, MODES)]
    rng.shuffle(cells)
    with tempfile.TemporaryDirectory() as name:
        finished = make_project(Path(name) / "finished")
        copies = {mode: duplicate(finished, Path(name) / mode.replace(" ", "")) for mode in MODES}
        whole = {stage: products(finished, stage) for stage in STAGES}
        found = []
        for number in range(runs):
            mode, victim = cells[number % len(cells)]
            stage = rng.choice(list(STAGES))
            killed = kill_once(copies[mode], mode, victim, stage, whole[stage], rng)
            print(f"{number + 1}: {killed}", file=sys.stderr, flush=True)
            found.append(killed)
        copies["exp run --queue"].run("dvc", "queue", "stop", "--kill")
    faults = [fault for killed in found for fault in killed.faults]
    print(table(found), "", *sorted({line for killed in found for line in killed.told}), "", sep="\n")
    print(f"{len(found)} kills: {len(faults)} faults", *faults, sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main(runs=int(sys.argv[1]) if len(sys.argv) > 1 else 50, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 7)
