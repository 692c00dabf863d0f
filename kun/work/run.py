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
from kun.errors import OutOfMemory, TooManyFailed, WorkerDied
from kun.params import Engine
from kun.schemas import Schema
from kun.tables.shards import write_json
from kun.work.plan import Batch, open_batches, padding_share, resume_plan
from kun.work.progress import Progress
from kun.work.scratch import Scratch, content_key
from kun.work.stop import until_stopped

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


def run_task(
    task: Task, payloads: Sequence[Any], costs: Sequence[int], root: Path, engine: Engine
) -> pl.DataFrame | None:
    """Results of all payloads, in order, null where a row failed; None on every rank but the main one.

    `payloads` are JSON values that decide a result together with `task.settings`; `costs` their tokens. Under
    `accelerate launch` each rank calls this with the same arguments. Raises Busy, TooManyFailed, WorkerDied, Stopped.
    """
    scratch = Scratch(root, task.stage, task.settings, task.schema)
    keys = [content_key(payload) for payload in payloads]
    payload_of = dict(zip(keys, payloads, strict=True))
    cost_of = dict(zip(keys, costs, strict=True))
    if processes.rank() == 0:
        with scratch.locked():
            _compute_missing(task, scratch, payload_of, cost_of, engine)
    else:
        _help_out(task, scratch, payload_of, cost_of)
        return None
    joined = pl.DataFrame({"key": keys}, schema={"key": pl.String}).join(
        scratch.read(), on="key", how="left", maintain_order="left"
    )
    _limit_failures(task.stage, joined, scratch, engine.max_failed_share)
    return joined.drop("key")


def _compute_missing(
    task: Task, scratch: Scratch, payloads: dict[str, Any], costs: dict[str, int], engine: Engine
) -> None:
    scratch.compact()  # while the other ranks wait: they read the segments that it replaces
    done = scratch.keys()
    missing = {key: cost for key, cost in costs.items() if key not in done}
    batches = (
        resume_plan(scratch.folder / "plan.json", missing, engine.batch_tokens, engine.max_rows) if missing else []
    )
    for pattern in ("claim-*", "failed-*", ".*.tmp"):
        for mark in scratch.folder.glob(pattern):
            mark.unlink()  # of ranks that died
    processes.wait_for_all()
    if not missing:
        return
    started = time.monotonic()
    padding = padding_share(batches, costs)
    progress = Progress(task.stage, len(missing), len(costs) - len(missing), padding=padding)
    _work(task, scratch, batches, payloads, costs, progress)
    _wait_for_helpers(scratch, task.stage, set(missing))
    progress.end()
    _log(scratch, task.stage, len(missing), sum(missing.values()), time.monotonic() - started)


def _help_out(task: Task, scratch: Scratch, payloads: dict[str, Any], costs: dict[str, int]) -> None:
    """Take batches from the main rank's plan until none is left."""
    processes.wait_for_all()
    if batches := open_batches(scratch.folder / "plan.json", set(costs) - scratch.keys()):
        with scratch.helping():
            _work(task, scratch, batches, payloads, costs, None)


def _work(
    task: Task,
    scratch: Scratch,
    batches: Sequence[Batch],
    payloads: Mapping[str, Any],
    costs: Mapping[str, int],
    progress: Progress | None,
) -> None:
    compute = task.load()
    halved = False
    for batch in until_stopped(task.stage, batches):
        if not _claim(scratch.folder / f"claim-{batch[0]}"):
            if progress:
                progress.add(len(batch), sum(costs[key] for key in batch))  # another rank has it
            continue
        for part, results in _compute_in_parts(compute, batch, payloads):
            if len(part) < len(batch) and not halved:
                _tell_halved(task.stage, batch, costs)
                halved = True
            if results:
                scratch.append(
                    pl.DataFrame([{"key": k, **r} for k, r in zip(part, results, strict=True)], scratch.schema)
                )
            else:
                (scratch.folder / f"failed-{part[0]}").write_text(
                    "out of memory in a batch of one row", encoding="utf-8"
                )
            if progress:
                progress.add(len(part), sum(costs[key] for key in part))


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


def _limit_failures(stage: str, joined: pl.DataFrame, scratch: Scratch, limit: float) -> None:
    failed = joined.select(pl.all_horizontal(pl.exclude("key").is_null()).sum()).item() if joined.height else 0
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
    for seconds in until_stopped(stage, repeat(0.5)):
        alone = not scratch.has_helpers()  # asked first: what the last of them wrote is seen
        if not (lost := wanted - _settled(scratch)):
            break
        if alone:
            raise WorkerDied(
                f"{stage}: {len(lost)} rows have no result, since a process of the launch died or a file in scratch is "
                "spoilt; finished batches are kept, run again to go on"
            )
        time.sleep(seconds)
    for file in scratch.folder.glob("failed-*"):
        file.unlink()  # failed rows are tried again on the next run


def _settled(scratch: Scratch) -> set[str]:
    """Keys of rows that have a result or failed."""
    return scratch.keys() | {file.name.removeprefix("failed-") for file in scratch.folder.glob("failed-*")}


def _log(scratch: Scratch, stage: str, rows: int, tokens: int, seconds: float) -> None:
    """Throughput of the last run, beside the results: it is no part of them, so it stays out of DVC."""
    speed = {"stage": stage, "rows": rows, "tokens": tokens, "seconds": round(seconds, 2)}
    write_json(scratch.folder.parent / "last-run.json", speed | {"tokens_per_second": round(tokens / seconds, 1)})
