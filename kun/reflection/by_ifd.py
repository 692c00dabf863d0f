"""Step 2: the student scores each pair before and after the new instruction, and the harder one goes on."""

from typing import Any

import polars as pl

from kun.params import Engine, Losses, Reflection
from kun.project import Project
from kun.reflection.choice import by_ifd as harder
from kun.reflection.choice import decided
from kun.reflection.student import closed, scored, student
from kun.reflection.versions import read_pairs, side_by_side
from kun.tables.shards import read_dataset

STAGE = "reflection/by_ifd"


def by_ifd(project: Project, params: Reflection, losses: Losses, engine: Engine) -> dict[str, Any] | None:
    """Old or new pair by IFD; data/reflection/by_ifd. None on helper ranks."""
    told = read_dataset(project.dataset("reflection/instructions"))
    pairs = read_pairs(project, params).filter(pl.col("id").is_in(told["id"].implode()))
    frame = scored(student(project, STAGE, losses, engine), side_by_side(pairs, told), ["old", "new"], losses)
    if frame is None:
        return None
    return closed(project, STAGE, decided(frame, "ifd", harder(params.margin)), "ifd")
