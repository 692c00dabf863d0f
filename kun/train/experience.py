"""The pre-experienced model of IFD: the base after an epoch on the pairs of data/experience/chosen."""

from typing import Any

import polars as pl

from kun.params import Params, TrainTask
from kun.project import Project
from kun.tables.shards import read_dataset
from kun.train.sft import encoded, learn


def train(project: Project, params: Params) -> dict[str, Any] | None:
    """Train models/experience; its summary, None on helper ranks. The held-out loss is that of answering held-out seeds."""
    chosen = read_dataset(project.dataset("experience/chosen"), ["id"])
    pairs = read_dataset(project.dataset("mixed")).join(chosen, on="id", how="semi", maintain_order="left")
    heldout = read_dataset(project.dataset("seeds")).filter(pl.col("split") == "heldout")
    task = TrainTask(params.experience.epochs, {"answer": 0})
    made = {name: encoded(project, rows, task, params) for name, rows in (("train", pairs), ("heldout", heldout))}
    return learn(
        project, "experience", params, made, task.epochs, "data/experience/chosen and data/seeds", "experience"
    )
