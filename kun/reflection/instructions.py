"""Step 1: the oracle reflects on each instruction, and writes a harder one with an answer of its own."""

from typing import Any

import polars as pl

from kun.engine.records import Refusal
from kun.params import Engine, Reflection
from kun.project import Project
from kun.reflection.oracle import Oracle, Told
from kun.reflection.versions import as_pairs, read_pairs, reflected, statuses
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, split_by_rules
from kun.work.stage import within_limit

STAGE = "reflection/instructions"
SKIPPED = Told(Refusal("skipped", "reflection.instructions is false"))


def instructions(project: Project, params: Reflection, engine: Engine) -> dict[str, Any] | None:
    """A new pair for each of `reflection.pairs`, or why there is none; data/reflection/instructions. None on helper ranks."""
    pairs = read_pairs(project, params)
    split = split_by_rules(pairs, {"empty_pair": _whole()})
    chosen, beyond = within_limit(split.kept, params.limit)
    oracle = Oracle(project, STAGE, True, params, engine)
    told = oracle.reflect(as_pairs(chosen) if params.instructions else [])
    if told is None:
        return None
    done = reflected(chosen, told or [SKIPPED] * chosen.height)
    dropped = [rejects(part, STAGE, excerpt="instruction") for part in (split.dropped, beyond)]
    return close_stage(project, STAGE, STAGE, pairs.height, done, dropped, **statuses(done), **oracle.described)


def _whole() -> Rule:
    there = [pl.col(name).str.strip_chars() != "" for name in ("instruction", "output")]
    return Rule(pl.all_horizontal(there), pl.lit("no instruction or no answer"), "both")
