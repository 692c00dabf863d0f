"""The pre-experienced model of IFD: the base after an epoch on the pairs of data/experience/chosen."""

from typing import Any

import polars as pl

from kun.models import load_tokens, read_base
from kun.params import Params
from kun.project import Project
from kun.select.templates import template_of
from kun.tables.shards import read_dataset
from kun.train.examples import Example, encode
from kun.train.sft import Units, learn


def train(project: Project, params: Params) -> dict[str, Any] | None:
    """Train models/experience; its summary, None on helper ranks. The held-out loss is that of answering held-out seeds.

    It learns in the template of `losses`, in which it will score.
    """
    chosen = read_dataset(project.dataset("experience/chosen"), ["id"])
    pairs = read_dataset(project.dataset("mixed")).join(chosen, on="id", how="semi", maintain_order="left")
    heldout = read_dataset(project.dataset("seeds")).filter(pl.col("split") == "heldout")
    made = {name: _encoded(project, rows, params) for name, rows in (("train", pairs), ("heldout", heldout))}
    source = "data/experience/chosen and data/seeds"
    return learn(project, "experience", params, made, params.experience.epochs, source, "experience")


def _encoded(project: Project, pairs: pl.DataFrame, params: Params) -> Units:
    tokens, end_token = load_tokens(project), read_base(project).end_token
    template = template_of(params.losses, tokens)
    return [
        [encode(Example("answer", template.prompt(instruction, given), output, templated=True), tokens, end_token)]
        for instruction, given, output in pairs.select("instruction", "input", "output").iter_rows()
    ]
