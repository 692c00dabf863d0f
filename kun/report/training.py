"""Losses of a training, step by step where the steps were logged, else epoch by epoch."""

import math
from typing import Any

import polars as pl

from kun.project import Project

MOST = 240  # points of a line; more are averaged

Points = list[tuple[float, float]]


def losses(project: Project, adapter: dict[str, Any]) -> dict[str, Any]:
    """Of one of `facts.training` its `unit` ("step" or "epoch") and `losses`: name -> points, no name without points."""
    folder = project.root / "reports" / "train" / adapter["name"] / "plots" / "metrics"
    names = ("train_loss", "heldout_loss")
    logged = {name: folder / f"{name}.tsv" for name in names}
    if all(path.is_file() for path in logged.values()):
        lines = {
            name: _thinned(pl.read_csv(path, separator="\t", schema_overrides=[pl.Float64] * 2))
            for name, path in logged.items()
        }
        return {"unit": "step", "losses": {name: points for name, points in lines.items() if points}}
    lines = {
        name: [(one["epoch"], one[name]) for one in adapter["history"] if one.get(name) is not None] for name in names
    }
    return {"unit": "epoch", "losses": {name: points for name, points in lines.items() if points}}


def _thinned(steps: pl.DataFrame) -> Points:
    """(step, value); neighbours averaged where there are more than MOST."""
    steps.columns = ["step", "value"]
    known = steps.filter(pl.col("value").is_finite())
    each = math.ceil(known.height / MOST) or 1
    numbered = known.with_row_index("place").with_columns(pl.col("place") // each)
    means = numbered.group_by("place", maintain_order=True).agg(pl.col("step", "value").mean())
    return [(step, round(value, 4)) for _, step, value in means.iter_rows()]
