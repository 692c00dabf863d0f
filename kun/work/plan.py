"""Which rows are computed together. The plan is kept, so that a resumed run uses the batches of the interrupted one.

Batch composition moves the last bits of float sums (padding, kernel shapes) and a greedy choice may hang on one; the same
batches give the same bytes.
"""

import json
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from kun.tables.shards import write_json

Batch = list[str]


def make_batches(costs: Mapping[str, int], batch_tokens: int, max_rows: int) -> list[Batch]:
    """Group keys, longest first, so that rows x longest stays within `batch_tokens`; a longer single row goes alone.

    Longest first shows a memory problem at once, and leaves short work to even out the ranks at the end. Ties break by
    key, so the plan depends on the set of rows alone.
    """
    batches: list[Batch] = []
    batch: Batch = []
    longest = 0
    for key in sorted(costs, key=lambda k: (-costs[k], k)):
        if batch and (len(batch) == max_rows or (len(batch) + 1) * longest > batch_tokens):
            batches.append(batch)
            batch = []
        if not batch:
            longest = costs[key]
        batch.append(key)
    return [*batches, batch] if batch else batches


def resume_plan(file: Path, costs: Mapping[str, int], batch_tokens: int, max_rows: int) -> list[Batch]:
    """Batches for the missing rows `costs`: those of the kept plan that are still whole, then new ones for the rest.

    Kept batches over the bounds are planned anew: who lowers a bound after a crash does it to get smaller ones.
    """
    kept = [batch for batch in open_batches(file, costs.keys()) if _within(batch, costs, batch_tokens, max_rows)]
    planned = {key for batch in kept for key in batch}
    rest = {key: cost for key, cost in costs.items() if key not in planned}
    batches = [*kept, *make_batches(rest, batch_tokens, max_rows)]
    write_json(file, batches)
    return batches


def open_batches(file: Path, missing: Collection[str]) -> list[Batch]:
    """The batches of the kept plan of which every row is still missing."""
    return [batch for batch in _kept(file) if all(key in missing for key in batch)]


def _kept(file: Path) -> list[Batch]:
    """The plan on disk; none, with a line on stderr, when the file is spoilt."""
    if not file.is_file():
        return []
    try:
        plan = json.loads(file.read_bytes())
    except ValueError:
        plan = None
    if isinstance(plan, list) and all(_is_batch(batch) for batch in plan):
        return plan
    print(f"{file} is spoilt; the missing rows are planned anew", file=sys.stderr)
    return []


def _is_batch(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(key, str) for key in value)


def _within(batch: Batch, costs: Mapping[str, int], batch_tokens: int, max_rows: int) -> bool:
    longest = max(costs[key] for key in batch)
    return len(batch) == 1 or (len(batch) <= max_rows and len(batch) * longest <= batch_tokens)


def padding_share(batches: Iterable[Batch], costs: Mapping[str, int]) -> float:
    """Share of computed tokens that pad rows to the longest of their batch."""
    computed = used = 0
    for batch in batches:
        computed += len(batch) * max(costs[key] for key in batch)
        used += sum(costs[key] for key in batch)
    return 1 - used / computed if computed else 0.0
