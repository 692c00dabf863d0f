"""The one loop that every model stage runs through: look up, plan, compute what is missing, keep each batch, join."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from kun import processes
from kun.engine.base import Failure, Gauge
from kun.errors import TooManyFailed
from kun.params import Engine
from kun.schemas.schema import Schema
from kun.work.batches import MARKS, Compute, Rows, wait_for_helpers, work_through
from kun.work.pilot import Pilot, measured
from kun.work.plan import open_batches, padding_share, resume_plan
from kun.work.progress import Progress
from kun.work.scratch import Scratch, content_key
from kun.work.telemetry import Meter, Work, work_of


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
    failures: dict[str, Failure] = field(default_factory=dict)
    """Filled by `run_task`: key of each row without result -> why."""


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
    rows = Rows(
        dict(zip(keys, payloads, strict=True)),
        dict(zip(keys, costs, strict=True)),
        Meter(scratch.folder, dict(zip(keys, tokens or costs, strict=True)), task.gauge),
    )
    if processes.rank() != 0:
        _help_out(task, scratch, rows)
        return None
    with scratch.locked():
        missing = _compute_missing(task, scratch, rows, engine)
        results = scratch.read()  # before a waiting run gets the lock and joins the segments
    if task.pilot:
        _fill(task.pilot, scratch, results, rows)
        return None
    joined = pl.DataFrame({"key": keys}, schema={"key": pl.String}).join(
        results, on="key", how="left", maintain_order="left"
    )
    _limit_failures(task, joined, scratch, engine.max_failed_share)
    work = work_of(scratch.folder, rows.costs.keys())
    work.reused = len(rows.costs) - missing
    work.failed = joined.unique("key").select(_failed()).sum().item()
    task.tell(work)
    return joined.drop("key")


def _compute_missing(task: Task, scratch: Scratch, rows: Rows, engine: Engine) -> int:
    """Compute what has no result, or the pilot's sample of it; how many rows had none."""
    scratch.compact()  # while the other ranks wait: they read the segments that it replaces
    done = scratch.keys()
    missing = {key: cost for key, cost in rows.costs.items() if key not in done}
    todo = task.pilot.draw(missing) if task.pilot else missing
    batches = resume_plan(_plan(task, scratch), todo, engine.batch_tokens, engine.max_rows) if todo else []
    for pattern in (*MARKS, ".*.tmp"):
        for mark in scratch.folder.glob(pattern):
            mark.unlink()  # of ranks that died
    processes.wait_for_all()
    if not todo:
        return 0
    reused = len(rows.costs) - len(missing)
    padding = padding_share(batches, rows.meter.tokens)
    progress = Progress(task.stage, len(todo), reused, padding=padding, cost=sum(todo.values()))
    own = work_through(task.stage, batches, task.load, rows, scratch, progress)
    task.failures.update(wait_for_helpers(scratch, task.stage, todo.keys() - own))
    progress.end()
    return len(missing)


def _help_out(task: Task, scratch: Scratch, rows: Rows) -> None:
    """Take batches from the main rank's plan until none is left."""
    processes.wait_for_all()
    if batches := open_batches(_plan(task, scratch), set(rows.costs) - scratch.keys()):
        with scratch.helping():
            work_through(task.stage, batches, task.load, rows, scratch, None)


def _plan(task: Task, scratch: Scratch) -> Path:
    """A pilot leaves the plan of an interrupted run alone."""
    return scratch.folder / ("pilot.json" if task.pilot else "plan.json")


def _fill(pilot: Pilot, scratch: Scratch, results: pl.DataFrame, rows: Rows) -> None:
    """A stage may call more than once; the figures of what was computed are those of the last call."""
    pilot.costs |= rows.costs
    pilot.tokens |= rows.meter.tokens
    own = results.filter(pl.col("key").is_in(list(rows.costs)))
    pilot.results = pl.concat([pilot.results, own], how="diagonal")
    pilot.measured = measured(scratch.folder, pilot)


def _failed() -> pl.Expr:
    """True for a row without result."""
    return pl.all_horizontal(pl.exclude("key").is_null())


def _limit_failures(task: Task, joined: pl.DataFrame, scratch: Scratch, limit: float) -> None:
    failed = joined.select(_failed().sum()).item() if joined.height else 0
    if failed > limit * joined.height:
        raise TooManyFailed(
            f"{task.stage}: {failed} of {joined.height} rows failed, more than engine.max_failed_share {limit}"
            f"{_mostly(task.failures)}; what succeeded is kept in {scratch.folder}, run again to retry the rest"
        )


def _mostly(failures: Mapping[str, Failure]) -> str:
    """The most frequent reason, with an example."""
    reasons = Counter(failure.reason for failure in failures.values()).most_common(1)
    example = next((failure.detail for failure in failures.values() if failure.reason == reasons[0][0]), "")
    return f" ({reasons[0][0]} {reasons[0][1]} times: {example})" if reasons else ""
