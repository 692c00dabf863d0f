"""Step 5 of Dynosaur: for each step of growth, the earlier tasks that are trained again beside the new ones."""

from typing import Any

import numpy as np
import polars as pl

from kun.corpus.text import text_id
from kun.dynosaur.strategies import Matrix, chosen, scores
from kun.params import Dynosaur, Engine
from kun.project import Project
from kun.schemas.dynosaur import DYNOSAUR_REPLAY
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.stage import ModelStage, split_finished

STAGE = "dynosaur/replay"
BY_VECTORS = ("similar", "diverse", "support")
CANDIDATE = DYNOSAUR_REPLAY | {"instruction": pl.String}


def replay(project: Project, params: Dynosaur, engine: Engine) -> dict[str, Any] | None:
    """Choose among the tasks that have pairs; data/dynosaur/replay. None on helper ranks.

    A row in is a step and a task of an earlier step.
    """
    taught = read_dataset(project.dataset("dynosaur/pairs"), ["task"])["task"].unique()
    known = read_dataset(project.dataset("dynosaur/tasks"), ["id", "source", "instruction", "step"])
    tasks = known.filter(pl.col("id").is_in(taught.implode())).sort("id")
    stage = ModelStage(project, STAGE, engine, adapter=None)
    grows = params.replay in BY_VECTORS and tasks["step"].n_unique() > 1
    vectors = stage.embeddings(tasks["instruction"].to_list() if grows else [])
    if vectors is None:
        return None
    lost = tasks.clear()
    if grows:
        tasks, lost = split_finished(tasks, vectors, stage.failures)
    candidates = [*_steps(tasks, params), pl.DataFrame(schema=CANDIDATE)]
    ranked = pl.concat(candidates)
    kept, rest = ranked.filter(pl.col("rank") > 0), ranked.filter(pl.col("rank") == 0)
    unchosen = rest.with_columns(
        reason=pl.lit("not_chosen"), value=pl.col("score").round(6), threshold=pl.lit(f"{params.replay_tasks} tasks")
    )
    failed = _never_scored(lost, tasks)
    return close_stage(
        project,
        STAGE,
        STAGE,
        ranked.height + failed.height,
        kept,
        [
            rejects(unchosen, STAGE, excerpt="instruction"),
            rejects(failed, STAGE, status="failed", excerpt="instruction"),
        ],
        strategy=params.replay,
        new_tasks={str(step): n for step, n in tasks.group_by("step").len().sort("step").iter_rows()},
    )


def _steps(tasks: pl.DataFrame, params: Dynosaur) -> list[pl.DataFrame]:
    """CANDIDATE rows of each step but the first: `rank` from 1 of the tasks that were chosen, 0 of the others."""
    steps = tasks["step"].unique().sort().to_list()
    return [_choose(tasks, step, params) for step in steps[1:]]


def _choose(tasks: pl.DataFrame, step: int, params: Dynosaur) -> pl.DataFrame:
    old, new = tasks.filter(pl.col("step") < step), tasks.filter(pl.col("step") == step)
    ids, values = old["id"].to_list(), np.full(old.height, np.nan)
    if params.replay != "none":
        values = scores(params.replay, ids, _matrix(old), _matrix(new), params.seed, step)
    ranks = np.zeros(old.height, dtype=np.int64)
    for rank, place in enumerate(chosen(params.replay, ids, values, params.replay_tasks), 1):
        ranks[place] = rank
    return pl.DataFrame(
        {
            "id": [text_id(f"{step}\n{task}") for task in ids],
            "step": step,
            "task": ids,
            "source": old["source"],
            "strategy": params.replay,
            "score": pl.Series(values).fill_nan(None),
            "rank": ranks,
            "instruction": old["instruction"],
        },
        schema=CANDIDATE,
    ).sort("rank", "id")


def _matrix(tasks: pl.DataFrame) -> Matrix | None:
    """[tasks, hidden]; None where nothing was embedded."""
    if "embedding" not in tasks.columns or tasks.is_empty():
        return None
    hidden = len(tasks["embedding"][0])
    return tasks["embedding"].list.to_array(hidden).to_numpy()


def _never_scored(lost: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """A row for each later step of the tasks whose instruction could not be embedded."""
    if lost.is_empty():
        return lost.with_columns(reason=pl.lit(""), value=pl.lit(""), threshold=pl.lit(""))
    later = tasks.select(pl.col("step").unique().alias("at"))
    return lost.join_where(later, pl.col("step") < pl.col("at"))
