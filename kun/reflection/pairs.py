"""Step 5: which of the pairs become data, and what reflection has done to them. No model runs here."""

from typing import Any

import polars as pl

from kun.params import Reflection
from kun.project import Project
from kun.reflection.choice import OUTCOMES, chosen, number, outcome
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, split_by_rules
from kun.tables.shards import read_dataset

STAGE = "reflection/pairs"
REWRITTEN = ("both", "answer")
"""Outcomes that the published script writes; it counts the others and leaves them out."""


def pairs(project: Project, params: Reflection) -> dict[str, Any]:
    """Pairs below both limits, of the wanted outcomes; data/reflection/pairs.

    The counts have the four outcomes with what each gives in both modes of `keep_unreflected`, and the figures of `compared`.
    """
    first, second = (read_dataset(project.dataset(f"reflection/{name}")) for name in ("by_ifd", "by_rifd"))
    steps = first.select("id", instruction="choice").join(second.select("id", answer="choice"), on="id")
    frame = chosen(second).join(
        steps.select("id", outcome=outcome(pl.col("instruction"), pl.col("answer"))),
        on="id",
        how="left",
        maintain_order="left",
    )
    split = split_by_rules(frame, rules(params))
    kept = split.kept.with_columns(
        method=pl.lit("reflection"), **{name: pl.lit(None) for name in ("p_good", "copy_rate", "support")}
    )
    return close_stage(
        project,
        STAGE,
        STAGE,
        frame.height,
        kept,
        [rejects(split.dropped, STAGE, excerpt="instruction")],
        outcomes=outcomes(frame, params),
        compared=compared(first, frame),
    )


def rules(params: Reflection) -> dict[str, Rule]:
    """A missing score breaks its limit."""
    written = {"unreflected": Rule(pl.col("outcome").is_in(REWRITTEN), pl.col("outcome"), "a new answer")}
    return {**({} if params.keep_unreflected else written), **_limits(params)}


def _limits(params: Reflection) -> dict[str, Rule]:
    return {
        name: Rule(number(name) < limit, pl.col(name).round(4), f"< {limit}")
        for name, limit in (("ifd", params.max_ifd), ("rifd", params.max_rifd))
    }


def outcomes(frame: pl.DataFrame, params: Reflection) -> dict[str, dict[str, int]]:
    """Each outcome: how many pairs, and how many of them are data as published and with `keep_unreflected`."""
    fine = split_by_rules(frame, _limits(params)).kept
    table = {}
    for name in OUTCOMES:
        within = fine.filter(pl.col("outcome") == name).height
        table[name] = {
            "pairs": frame.filter(pl.col("outcome") == name).height,
            "as_published": within if name in REWRITTEN else 0,
            "keep_unreflected": within,
        }
    return table


def compared(first: pl.DataFrame, frame: pl.DataFrame) -> dict[str, dict[str, float | None]]:
    """Means of the same pairs before and after: characters of the answer, IFD, reversed IFD.

    Judges and benchmarks of preference reward long answers, and reflection lengthens them: read them beside the length.
    """
    before = frame.select("id").join(first, on="id", how="left", maintain_order="left")
    values = {
        "answer_chars": (pl.col("old_output").str.len_chars(), pl.col("output").str.len_chars()),
        "ifd": (number("old_ifd"), number("ifd")),
        "rifd": (number("old_rifd"), number("rifd")),
    }
    return {name: {"before": _mean(before, old), "after": _mean(frame, new)} for name, (old, new) in values.items()}


def _mean(frame: pl.DataFrame, values: pl.Expr) -> float | None:
    mean = frame.select(values.mean()).item()
    return None if mean is None else round(float(mean), 4)
