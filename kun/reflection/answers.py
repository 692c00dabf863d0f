"""Step 3: the oracle reflects on the answer of each pair that went on, and writes a better one."""

from typing import Any

from kun.params import Engine, Reflection
from kun.project import Project
from kun.reflection.choice import chosen
from kun.reflection.oracle import Oracle
from kun.reflection.versions import as_pairs, reflected, statuses
from kun.tables.ledger import close_stage
from kun.tables.shards import read_dataset

STAGE = "reflection/answers"


def answers(project: Project, params: Reflection, engine: Engine) -> dict[str, Any] | None:
    """A new answer to each pair, or why there is none; data/reflection/answers, as many rows as came in. None on helper ranks."""
    pairs = chosen(read_dataset(project.dataset("reflection/by_ifd")))
    oracle = Oracle(project, STAGE, False, params, engine)
    told = oracle.reflect(as_pairs(pairs))
    if told is None:
        return None
    done = reflected(pairs, told)
    return close_stage(project, STAGE, STAGE, pairs.height, done, [], **statuses(done), **oracle.described)
