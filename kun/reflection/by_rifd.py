"""Step 4: the student scores each pair with its new answer, and the answer that tells more of its instruction goes on."""

from typing import Any

import polars as pl

from kun.params import Engine, Losses, Reflection
from kun.project import Project
from kun.reflection.choice import by_rifd as fitting
from kun.reflection.choice import chosen, decided, repeats
from kun.reflection.student import closed, scored, student
from kun.reflection.versions import side_by_side
from kun.tables.shards import read_dataset

STAGE = "reflection/by_rifd"


def by_rifd(project: Project, params: Reflection, losses: Losses, engine: Engine) -> dict[str, Any] | None:
    """Old or new answer by reversed IFD; data/reflection/by_rifd. None on helper ranks.

    The old version has its scores from `by_ifd`.
    """
    winners = chosen(read_dataset(project.dataset("reflection/by_ifd")))
    versions = side_by_side(winners, read_dataset(project.dataset("reflection/answers")))
    frame = scored(student(project, STAGE, losses, engine), versions, ["new"], losses)
    if frame is None:
        return None
    vetoes = {"repeats_instruction": pl.lit(repeats(frame, params))}
    return closed(project, STAGE, decided(frame, "rifd", fitting(params.margin), vetoes), "rifd")
