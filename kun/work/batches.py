"""Batches of one plan, shared by the processes of a launch: each claims one that nobody has, computes it and keeps its rows.

Marks in the folder of scratch say who has what: `claim-<first key>` a batch that a process took, `failed-<key>` a row
without result, with the reason. A slow process holds nobody up, and what a dead one had claimed is computed by the next run.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import polars as pl

from kun.engine.base import Failure
from kun.errors import OutOfMemory, WorkerDied
from kun.tables.shards import write_json
from kun.work.plan import Batch
from kun.work.progress import Progress, Seen
from kun.work.scratch import Scratch
from kun.work.stop import until_stopped
from kun.work.telemetry import Meter

Row = dict[str, Any] | Failure
Compute = Callable[[Sequence[Any]], Sequence[Row]]
"""Payloads of one batch -> result rows in the same order; raises OutOfMemory when the batch is too large."""

MARKS = ("claim-*", "failed-*")


@dataclass(frozen=True)
class Rows:
    """All rows of a task, by key."""

    payloads: dict[str, Any]
    costs: dict[str, int]
    """Tokens that a row may need room for."""
    meter: Meter


def work_through(
    stage: str,
    batches: Sequence[Batch],
    load: Callable[[], Compute],
    rows: Rows,
    scratch: Scratch,
    progress: Progress | None,
) -> set[str]:
    """Compute the batches that no other process has taken; the keys of the rows that now have a result."""
    own: set[str] = set()
    compute = rows.meter.load(load)
    halved = False
    if progress:
        progress.start()
    for batch in until_stopped(stage, batches):
        if not _claim(scratch.folder / f"claim-{batch[0]}"):
            if progress:
                progress.add(len(batch), sum(rows.costs[key] for key in batch))
            continue
        for part, results in _compute_in_parts(compute, batch, rows.payloads):
            if len(part) < len(batch) and not halved:
                _tell_halved(stage, batch, rows.costs)
                halved = True
            done = {key: row for key, row in zip(part, results, strict=True) if not isinstance(row, Failure)}
            own.update(done)
            seen = _keep(scratch, done, rows.meter)
            _mark_failed(
                scratch, {key: row for key, row in zip(part, results, strict=True) if isinstance(row, Failure)}
            )
            if progress:
                seen.rows, seen.failed = len(part), len(part) - len(done)
                progress.add(len(part), sum(rows.costs[key] for key in part), seen)
    return own


def _keep(scratch: Scratch, done: Mapping[str, dict[str, Any]], meter: Meter) -> Seen:
    """Finished rows as a segment, behind a line of what they cost."""
    if not done:
        return Seen()
    line = meter.note(list(done), list(done.values()))
    scratch.append(pl.DataFrame([{"key": key, **row} for key, row in done.items()], scratch.schema))
    return Seen(0, line["tokens_in"], line["tokens_out"], memory=line["device_memory"] or line["memory"])


def _mark_failed(scratch: Scratch, failures: Mapping[str, Failure]) -> None:
    """Leave a mark for each; then raise the error of a row that ends the stage."""
    for key, failure in failures.items():
        write_json(scratch.folder / f"failed-{key}", {"reason": failure.reason, "detail": failure.detail})
    for failure in failures.values():
        if failure.error:
            raise failure.error


def _compute_in_parts(
    compute: Compute, batch: Batch, payloads: Mapping[str, Any]
) -> Iterator[tuple[Batch, Sequence[Row]]]:
    """The batch, or its halves when it does not fit into memory, down to one row, which then fails."""
    results: Sequence[Row]
    try:
        results = compute([payloads[key] for key in batch])
    except OutOfMemory:
        results = [Failure("out_of_memory", "a batch of one row")] if len(batch) == 1 else []
    # Outside the handler: there the error still holds the frames, and so the memory, of the batch that did not fit.
    if results:
        yield batch, results
        return
    middle = len(batch) // 2
    yield from _compute_in_parts(compute, batch[:middle], payloads)
    yield from _compute_in_parts(compute, batch[middle:], payloads)


def _tell_halved(stage: str, batch: Batch, costs: Mapping[str, int]) -> None:
    """Once in a run: all batches have the same budget, so the next ones will hardly fit either."""
    tokens = len(batch) * max(costs[key] for key in batch)
    print(
        f"{stage}: a batch of {len(batch)} rows, {tokens} tokens, does not fit into memory; such batches are halved, "
        "a lower engine.batch_tokens or engine.max_rows saves the attempts",
        file=sys.stderr,
    )


def _claim(file: Path) -> bool:
    """True for the one process that creates the file first."""
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def wait_for_helpers(scratch: Scratch, stage: str, wanted: set[str]) -> dict[str, Failure]:
    """Return when all wanted rows have a result or failed, and why these did; failed rows are tried again by the next run.

    WorkerDied when all other processes have gone and rows are missing.
    """
    seen: set[str] = set()
    marks: dict[str, Path] = {}
    for seconds in until_stopped(stage, repeat(0.5)):
        alone = not scratch.has_helpers()  # asked first: what the last of them wrote is seen
        marks = {file.name.removeprefix("failed-"): file for file in scratch.folder.glob("failed-*")}
        names = {file.name for file in scratch.folder.glob("seg-*")}
        wanted -= marks.keys()
        if wanted and names != seen:  # reading them all costs more, the more is finished
            seen = names
            wanted -= scratch.keys()
        if not wanted:
            break
        if alone:
            raise WorkerDied(
                f"{stage}: {len(wanted)} rows have no result, since a process of the launch died or a file in scratch is "
                "spoilt; finished batches are kept, run again to go on"
            )
        time.sleep(seconds)
    failures = {key: Failure(**json.loads(file.read_text(encoding="utf-8"))) for key, file in marks.items()}
    for file in marks.values():
        file.unlink()
    return failures
