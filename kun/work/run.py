"""The one loop that every model stage runs through: look up, plan, compute what is missing, keep each batch, join."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import polars as pl

from kun import processes
from kun.engine.base import Gauge
from kun.errors import OutOfMemory, TooManyFailed, WorkerDied
from kun.params import Engine
from kun.schemas import Schema
from kun.work.pilot import Pilot, measured
from kun.work.plan import Batch, open_batches, padding_share, resume_plan
from kun.work.progress import Progress, Seen
from kun.work.scratch import Scratch, content_key
from kun.work.stop import until_stopped
from kun.work.telemetry import Line, Meter, Work, work_of

Compute = Callable[[Sequence[Any]], list[dict[str, Any]]]
"""Payloads of one batch -> result rows in the same order; raises OutOfMemory when the batch is too large."""


@dataclass(frozen=True)
class Task:
    """One stage's model work."""

    stage: str
    settings: Mapping[str, Any]
    """Everything but the row that a result depends on: model, sampling, code version."""
    schema: Schema
    """Columns of a result."""
    load: Callable[[], Compute]
    """Loads the model; called only when something is missing."""
    gauge: Callable[[], Gauge] = Gauge
    """What the loaded model tells of itself."""
    tell: Callable[[Work], None] = lambda work: None
    """Called in the main process with what the rows cost."""
    pilot: Pilot | None = None
    """Given: only its sample is computed, and it gets the results."""


def run_task(
    task: Task,
    payloads: Sequence[Any],
    costs: Sequence[int],
    root: Path,
    engine: Engine,
    tokens: Sequence[int] | None = None,
) -> pl.DataFrame | None:
    """Results of all payloads, in order, null where a row failed; None on every rank but the main one, and after a pilot.

    `payloads` are JSON values that decide a result together with `task.settings`; `costs` are the tokens that a row may
    need room for, `tokens` those of its prompt (by default as many). Under `accelerate launch` each rank calls this with
    the same arguments. Raises Busy, TooManyFailed, WorkerDied, Stopped.
    """
    scratch = Scratch(root, task.stage, task.settings, task.schema)
    keys = [content_key(payload) for payload in payloads]
    payload_of = dict(zip(keys, payloads, strict=True))
    cost_of = dict(zip(keys, costs, strict=True))
    meter = Meter(scratch.folder, dict(zip(keys, tokens or costs, strict=True)), task.gauge)
    if processes.rank() != 0:
        _help_out(task, scratch, payload_of, cost_of, meter)
        return None
    with scratch.locked():
        missing = _compute_missing(task, scratch, payload_of, cost_of, meter, engine)
    results = scratch.read()
    if task.pilot:
        _fill(task.pilot, scratch, results, cost_of, meter)
        return None
    joined = pl.DataFrame({"key": keys}, schema={"key": pl.String}).join(
        results, on="key", how="left", maintain_order="left"
    )
    _limit_failures(task.stage, joined, scratch, engine.max_failed_share)
    work = work_of(scratch.folder, cost_of.keys())
    work.reused = len(cost_of) - missing
    work.failed = joined.unique("key").select(_failed()).sum().item()
    task.tell(work)
    return joined.drop("key")


def _compute_missing(
    task: Task, scratch: Scratch, payloads: dict[str, Any], costs: dict[str, int], meter: Meter, engine: Engine
) -> int:
    """Compute what has no result, or the pilot's sample of it; how many rows had none."""
    scratch.compact()  # while the other ranks wait: they read the segments that it replaces
    done = scratch.keys()
    missing = {key: cost for key, cost in costs.items() if key not in done}
    todo = task.pilot.draw(missing) if task.pilot else missing
    batches = resume_plan(_plan(task, scratch), todo, engine.batch_tokens, engine.max_rows) if todo else []
    for pattern in ("claim-*", "failed-*", ".*.tmp"):
        for mark in scratch.folder.glob(pattern):
            mark.unlink()  # of ranks that died
    processes.wait_for_all()
    if not todo:
        return 0
    reused = len(costs) - len(missing)
    padding = padding_share(batches, meter.tokens)
    progress = Progress(task.stage, len(todo), reused, padding=padding, cost=sum(todo.values()))
    own = _work(task, scratch, batches, payloads, costs, meter, progress)
    _wait_for_helpers(scratch, task.stage, todo.keys() - own)
    progress.end()
    return len(missing)


def _plan(task: Task, scratch: Scratch) -> Path:
    """A pilot leaves the plan of an interrupted run alone."""
    return scratch.folder / ("pilot.json" if task.pilot else "plan.json")


def _fill(pilot: Pilot, scratch: Scratch, results: pl.DataFrame, costs: dict[str, int], meter: Meter) -> None:
    pilot.costs, pilot.tokens = costs, dict(meter.tokens)
    pilot.results = results.filter(pl.col("key").is_in(list(costs)))
    pilot.measured = measured(scratch.folder, pilot)


def _help_out(task: Task, scratch: Scratch, payloads: dict[str, Any], costs: dict[str, int], meter: Meter) -> None:
    """Take batches from the main rank's plan until none is left."""
    processes.wait_for_all()
    if batches := open_batches(_plan(task, scratch), set(costs) - scratch.keys()):
        with scratch.helping():
            _work(task, scratch, batches, payloads, costs, meter, None)


def _work(
    task: Task,
    scratch: Scratch,
    batches: Sequence[Batch],
    payloads: Mapping[str, Any],
    costs: Mapping[str, int],
    meter: Meter,
    progress: Progress | None,
) -> set[str]:
    """Compute the batches that no other rank has taken; the keys of their rows."""
    own: set[str] = set()
    compute = meter.load(task.load)
    halved = False
    if progress:
        progress.start()
    for batch in until_stopped(task.stage, batches):
        if not _claim(scratch.folder / f"claim-{batch[0]}"):
            if progress:
                progress.add(len(batch), sum(costs[key] for key in batch))
            continue
        own.update(batch)
        for part, results in _compute_in_parts(compute, batch, payloads):
            if len(part) < len(batch) and not halved:
                _tell_halved(task.stage, batch, costs)
                halved = True
            line = None
            if results:
                line = meter.note(part, results)
                rows = [{"key": k, **r} for k, r in zip(part, results, strict=True)]
                scratch.append(pl.DataFrame(rows, scratch.schema))
            else:
                (scratch.folder / f"failed-{part[0]}").write_text(
                    "out of memory in a batch of one row", encoding="utf-8"
                )
            if progress:
                progress.add(len(part), sum(costs[key] for key in part), _seen(line, len(part)))
    return own


def _seen(line: Line | None, rows: int) -> Seen:
    if line is None:
        return Seen(rows, failed=rows)
    memory = line["device_memory"] or line["memory"]
    return Seen(rows, line["tokens_in"], line["tokens_out"], memory=memory)


def _tell_halved(stage: str, batch: Batch, costs: Mapping[str, int]) -> None:
    """Once in a run: all batches have the same budget, so the next ones will hardly fit either."""
    tokens = len(batch) * max(costs[key] for key in batch)
    print(
        f"{stage}: a batch of {len(batch)} rows, {tokens} tokens, does not fit into memory; such batches are halved, "
        "a lower engine.batch_tokens or engine.max_rows saves the attempts",
        file=sys.stderr,
    )


def _compute_in_parts(
    compute: Compute, batch: Batch, payloads: Mapping[str, Any]
) -> Iterator[tuple[Batch, list[dict[str, Any]]]]:
    """The batch, or its halves when it does not fit into memory, down to one row, which then fails (no results)."""
    try:
        results = compute([payloads[key] for key in batch])
    except OutOfMemory:
        results = []
    # Outside the handler: there the error still holds the frames, and so the memory, of the batch that did not fit.
    if results or len(batch) == 1:
        yield batch, results
        return
    middle = len(batch) // 2
    yield from _compute_in_parts(compute, batch[:middle], payloads)
    yield from _compute_in_parts(compute, batch[middle:], payloads)


def _failed() -> pl.Expr:
    """True for a row without result."""
    return pl.all_horizontal(pl.exclude("key").is_null())


def _limit_failures(stage: str, joined: pl.DataFrame, scratch: Scratch, limit: float) -> None:
    failed = joined.select(_failed().sum()).item() if joined.height else 0
    if failed > limit * joined.height:
        raise TooManyFailed(
            f"{stage}: {failed} of {joined.height} rows failed, more than engine.max_failed_share {limit}; "
            f"what succeeded is kept in {scratch.folder}, run again to retry the rest"
        )


def _claim(file: Path) -> bool:
    """True for the one process that creates the file first."""
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _wait_for_helpers(scratch: Scratch, stage: str, wanted: set[str]) -> None:
    """The other ranks finish the batches they claimed; WorkerDied when all have gone and rows are missing."""
    seen: set[str] = set()
    for seconds in until_stopped(stage, repeat(0.5)):
        alone = not scratch.has_helpers()  # asked first: what the last of them wrote is seen
        names = {file.name for pattern in ("seg-*", "failed-*") for file in scratch.folder.glob(pattern)}
        if names != seen:  # reading them all costs more, the more is finished
            seen = names
            wanted -= scratch.keys() | {name.removeprefix("failed-") for name in names}
        if not wanted:
            break
        if alone:
            raise WorkerDied(
                f"{stage}: {len(wanted)} rows have no result, since a process of the launch died or a file in scratch is "
                "spoilt; finished batches are kept, run again to go on"
            )
        time.sleep(seconds)
    for file in scratch.folder.glob("failed-*"):
        file.unlink()  # failed rows are tried again on the next run
