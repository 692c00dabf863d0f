"""Why rows left: reasons by stage and source, with examples."""

import difflib
from pathlib import Path
from typing import Any

import polars as pl

from kun.errors import InputError
from kun.project import Project
from kun.release.facts import read_json
from kun.schemas.datasets import STAGES
from kun.tables.shards import readable, shards

Reasons = list[dict[str, Any]]


def reasons(project: Project, stage: str = "", source: str = "", reason: str = "") -> Reasons:
    """Rows (stage, reason, rows, share of the stage's input), in the order of the stages, the most frequent first.

    From the counts of the stages: no row is read. InputError when nothing has run, or no stage or source has that name.
    """
    counts = [one for path in _files(project) if (one := read_json(path)) is not None]
    if not counts:
        raise InputError("no stage has run yet; run `dvc repro` first")
    _known("stage", stage, {one["stage"] for one in counts})
    _known("source", source, {name for one in counts for name in one["by_source"]})
    found = []
    for one in counts:
        times = one["by_source"].get(source, {}).get("rejected", {}) if source else one["reasons"]
        for name, rows in times.items():
            if stage in ("", one["stage"]) and reason in ("", name):
                found.append(
                    {"stage": one["stage"], "reason": name, "rows": rows, "share": rows / max(one["rows_in"], 1)}
                )
    if reason and not found:
        raise InputError(f"no row has left for {reason!r}" + (f" in {stage}" if stage else ""))
    return found


def examples(project: Project, stage: str, reason: str, source: str, count: int) -> pl.DataFrame:
    """The first rows of the ledger (REJECT) with that stage, reason and source ("": any)."""
    wanted = pl.col("reason") == reason
    wanted = wanted & (pl.col("source") == source) if source else wanted
    folder = project.rejects(stage)
    with readable(folder):
        return pl.scan_parquet(shards(folder)).filter(wanted).head(count).collect()


def _files(project: Project) -> list[Path]:
    """Of the stages that rows go through, in their order, then any others."""
    order = list(STAGES)
    found = (project.root / "reports" / "counts").glob("*.json")
    return sorted(found, key=lambda path: (order.index(path.stem) if path.stem in order else len(order), path.stem))


def _known(what: str, name: str, names: set[str]) -> None:
    if name and name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(sorted(names))}"
        raise InputError(f"no {what} {name!r}; {hint}")
