"""Several versions, or arms of the selection, side by side."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl

from kun.compare.diff import RELEASED
from kun.compare.shifts import leaves, metrics, shown, spread
from kun.compare.tables import Dress, markdown, plain
from kun.compare.versions import WORKSPACE, Version, open_repo, version
from kun.errors import InputError
from kun.project import Project
from kun.tables.shards import shards

ROWS = "rows"
"""The one figure that a table of arms always has."""


@dataclass(frozen=True)
class Arm:
    """One dataset of the comparison."""

    name: str
    rows: int
    params: dict[str, Any]
    """Those that are not the same in all arms; dotted."""
    metrics: dict[str, Any]
    """Of its version; none of an arm of the selection but what follows from its rows."""
    spreads: dict[str, dict[str, float | None]]
    """Lengths and scores: mean and quantiles."""


@dataclass(frozen=True)
class Comparison:
    """All that `kun compare` tells."""

    arms: list[Arm]
    overlap: list[dict[str, Any]]
    """Pairs of arms: `one`, `other`, `rows` that both have by id, `jaccard`."""


def compare(root: Path, wanted: Sequence[str]) -> Comparison:
    """Versions and arms by name; without names the workspace and its arms. InputError for an unknown one."""
    found = [_found(root, name) for name in dict.fromkeys(wanted or [WORKSPACE, *arm_names(root)])]
    differing = _differing([params for _, _, params, _ in found])
    arms = [
        Arm(
            name,
            int(pl.scan_parquet(files).select(pl.len()).collect().item()),
            {key: params.get(key) for key in differing},
            numbers,
            spread(files),
        )
        for name, files, params, numbers in found
    ]
    return Comparison(arms, _overlap({name: files for name, files, _, _ in found}))


def arm_names(root: Path) -> list[str]:
    """Sets of data/arms."""
    return sorted(folder.name for folder in Project(root).dataset("arms").glob("*") if folder.is_dir())


def _found(root: Path, name: str) -> tuple[str, list[Path], dict[str, Any], dict[str, Any]]:
    """Name, shards, parameters and metrics."""
    if name in (arms := arm_names(root)):
        own = Version(WORKSPACE, "", open_repo(root), root)
        return name, shards(Project(root).dataset("arms") / name), leaves(own.params) | {"arm": name}, {}
    repo = open_repo(root)
    try:
        one = version(repo, root, name)
    except InputError as error:
        hint = f"; arms of the selection: {', '.join(arms)}" if arms else ""
        raise InputError(f"{error}{hint}") from None
    return name, one.dataset(RELEASED), leaves(one.params), metrics(one)


def _differing(params: list[dict[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for one in params for key in one)
    return [key for key in keys if any(one.get(key) != params[0].get(key) for one in params)]


def _overlap(files: dict[str, list[Path]]) -> list[dict[str, Any]]:
    ids = {name: pl.scan_parquet(paths).select("id").collect()["id"] for name, paths in files.items()}
    told = []
    for one, other in combinations(ids, 2):
        shared = int(ids[one].is_in(ids[other].implode()).sum())
        union = len(ids[one]) + len(ids[other]) - shared
        told.append({"one": one, "other": other, "rows": shared, "jaccard": round(shared / union, 4) if union else 0.0})
    return told


def text(found: Comparison, dress: Dress = plain) -> str:
    """Tables with one column an arm; what is the same in all is counted."""
    table = rows(found)
    differing = [row for row in table if row[0] == ROWS or len(set(row[1:])) > 1] if len(found.arms) > 1 else table
    same = len(table) - len(differing)
    overlap = [[one["one"], one["other"], f"{one['rows']:,}", f"{one['jaccard']:.3f}"] for one in found.overlap]
    parts = (
        dress("Arms", ("", *(arm.name for arm in found.arms)), differing),
        f"{same} more are the same in all (--csv and --json have them)" if same else "",
        dress("Overlap by id", ("", "", "rows", "Jaccard"), overlap),
    )
    return "\n\n".join(filter(None, parts))


def as_markdown(found: Comparison) -> str:
    """For a pull request."""
    return text(found, markdown)


def rows(found: Comparison) -> list[list[str]]:
    """Parameters that differ, rows, means of lengths and scores, metrics: one row each, one column an arm."""
    arms = found.arms
    told = [[key, *(shown(arm.params.get(key)) for arm in arms)] for key in (arms[0].params if arms else ())]
    told.append([ROWS, *(f"{arm.rows:,}" for arm in arms)])
    for name in dict.fromkeys(name for arm in arms for name in arm.spreads):
        told.append([f"{name}, mean", *(_number(arm.spreads.get(name, {}).get("mean")) for arm in arms)])
    for name in dict.fromkeys(name for arm in arms for name in arm.metrics):
        told.append([name, *(_number(arm.metrics.get(name)) for arm in arms)])
    return told


def as_csv(found: Comparison) -> str:
    """The table of the arms; texts as in the terminal, numbers whole."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["", *(arm.name for arm in found.arms)])
    writer.writerows(rows(found))
    return out.getvalue().rstrip("\n")


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shown(value)
