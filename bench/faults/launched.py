"""A small project whose model stages run in two processes of `accelerate launch`, started in each of DVC's ways.

Only one stage runs at a time (`--single-item`): all before it is done and recorded, nothing of its own is left.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml

from tests.copies import Copy, copy_project
from tests.tiny import make_tiny_model

STAGES = {"label": "labelled", "judge": "judged", "polish": "polished"}
"""Stages of model work, and the dataset of each."""

MODES = {
    "repro": ("dvc", "repro", "-s"),
    "exp run": ("dvc", "exp", "run", "-s"),
    "exp run --temp": ("dvc", "exp", "run", "--temp", "-s"),
    "exp run --queue": ("dvc", "exp", "run", "--queue", "-s"),
}

LAUNCH = (
    "accelerate launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no "
    "--main_process_port 0 -m kun"
)
"""Two processes; `CPU` makes them processes without a GPU, for which accelerate itself would ask for MPI."""

CPU = {"ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"}

PATIENCE = 300.0
"""Seconds until what is waited for must have happened."""


def make_project(folder: Path) -> Copy:
    """The finished project: all stages have run, those of STAGES in two processes."""
    os.environ.update(CPU)
    copy = copy_project(folder, make_tiny_model(folder / "tiny"), engine__max_rows=2)
    copy.must("dvc", "repro")
    split_in_two(copy)
    return copy


def split_in_two(copy: Copy) -> None:
    """Run the stages again with LAUNCH, and keep a commit `before-STAGE` for each, in which it has still to run."""
    copy.set_params({"launch": LAUNCH})
    shutil.rmtree(copy.scratch / "work")
    copy.commit()
    copy.must("dvc", "repro", "-s", *STAGES)
    copy.commit()
    for stage in STAGES:
        lock = copy.root / "dvc.lock"
        recorded = yaml.safe_load(lock.read_text(encoding="utf-8"))
        del recorded["stages"][stage]
        lock.write_text(yaml.safe_dump(recorded, sort_keys=False), encoding="utf-8")
        copy.project.counts(stage).unlink()
        copy.commit()
        copy.must("git", "tag", f"before-{stage}")
        copy.must("git", "reset", "-q", "--hard", "HEAD~1")


def products(copy: Copy, stage: str) -> dict[str, bytes]:
    """All that a stage writes: path -> content."""
    folders = (copy.project.dataset(STAGES[stage]), copy.project.rejects(stage))
    files = [copy.project.counts(stage), *(path for folder in folders for path in folder.rglob("*"))]
    return {str(path.relative_to(copy.root)): path.read_bytes() for path in files if path.is_file()}


def forget(copy: Copy, stage: str) -> None:
    """As before the stage ran: no output, record, cached run, experiment or scratch is left of it."""
    mend_git(copy)
    copy.must("git", "reset", "-q", "--hard", f"before-{stage}")
    for ref in experiments(copy):
        copy.must("git", "update-ref", "-d", ref)
    places = (copy.project.dataset(STAGES[stage]), copy.project.rejects(stage), copy.scratch / "work" / stage)
    for path in (*places, copy.root / ".dvc/cache/runs"):
        shutil.rmtree(path, ignore_errors=True)


def mend_git(copy: Copy) -> None:
    """A killed `dvc exp run` leaves HEAD at a commit of its own; put it back without touching a file."""
    if copy.run("git", "symbolic-ref", "-q", "HEAD").returncode:
        copy.must("git", "symbolic-ref", "HEAD", "refs/heads/main")
        copy.must("git", "reset", "-q")


def experiments(copy: Copy) -> list[str]:
    """Refs of the experiments that came to their end."""
    refs = copy.must("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return [ref for ref in refs if ref.count("/") == 4]  # refs/exps/ab/cdef.../name


def start(copy: Copy, mode: str, stage: str, log: Path) -> "subprocess.Popen[bytes]":
    """Start the stage in a way of DVC; of a queue the worker is started, which goes on behind the command."""
    with log.open("wb") as told:
        if "--queue" in mode:
            copy.must(*MODES[mode], stage)
            command: tuple[str, ...] = ("dvc", "queue", "start")
        else:
            command = (*MODES[mode], stage)
        return subprocess.Popen(command, cwd=copy.root, env=copy.env, stdout=told, stderr=told, start_new_session=True)


def finish(copy: Copy, mode: str, stage: str, log: Path) -> int:
    """Run the stage to its end, with its outputs in the workspace; the exit code."""
    known = set(experiments(copy))
    process = start(copy, mode, stage, log)
    code = process.wait(PATIENCE)
    if "--" not in mode or code:
        return code
    until(lambda: bool(set(experiments(copy)) - known), f"the end of {mode}")
    (ref,) = set(experiments(copy)) - known
    shutil.rmtree(copy.project.dataset(STAGES[stage]), ignore_errors=True)
    copy.run("dvc", "exp", "apply", ref.rsplit("/", 1)[1])  # may miss what other pipelines never made: docs/sharing.md
    copy.must("dvc", "checkout", "dvc.yaml")
    return 0


def ranks(copy: Copy) -> list[psutil.Process]:
    """Processes of the launch that are at work on the project's scratch, the main one first."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        if "kun" not in (process.info["cmdline"] or ()):
            continue
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        if environment.get("KUN_SCRATCH") == str(copy.scratch) and "RANK" in environment:
            found[int(environment["RANK"])] = process
    return [found[rank] for rank in sorted(found)]


def dvc_of(process: psutil.Process) -> psutil.Process:
    """The nearest ancestor that is DVC."""
    return next(p for p in process.parents() if any(Path(word).name == "dvc" for word in p.cmdline()))


def segments(copy: Copy, stage: str) -> list[Path]:
    """Finished batches of a stage."""
    return list((copy.scratch / "work" / stage).glob("*/seg-*.parquet"))


def claims(copy: Copy, stage: str) -> int:
    """Batches of a stage that were begun by the last launch."""
    return len(list((copy.scratch / "work" / stage).glob("*/claim-*")))


def until(condition: Callable[[], bool], what: str, pause: float = 0.1) -> None:
    """Wait for a condition; AssertionError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(pause)
