"""Scores of a pair from its losses: pure arithmetic, so that moving a threshold never asks a model."""

from typing import Literal, TypeVar

import polars as pl

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

SMALLEST = 1e-3
"""Nats. Below it the answer is known by heart, and a ratio over its loss says nothing."""


def with_scores(losses: Frame, reduction: Literal["mean", "sum"] = "mean") -> Frame:
    """Add ifd_loss, ifd_ppl, rifd_loss, rifd_ppl and ira to a table in the LOSSES schema; null where a loss is missing.

    IFD (arXiv:2308.12032) near 0: the instruction makes the answer easy; above 1: it hurts. `_loss` is the ratio of the mean
    losses, `_ppl` that of the perplexities (arXiv:2402.00530): both cross 1 at the same rows but rank them differently, so
    use one. Low reversed IFD: the answer tells its instruction. IRA (arXiv:2410.11540) is what the instruction saves, nats
    per token or, as `sum`, per answer; high: well aligned. Ratios are null where the direct loss is under `SMALLEST`.
    """
    saved = pl.col("s_direct") - pl.col("s_cond")
    return losses.with_columns(
        **_ratios("ifd", "s_cond", "s_direct"),
        **_ratios("rifd", "s_rcond", "s_rdirect"),
        ira=saved * pl.col("n_answer") if reduction == "sum" else saved,
    )


def _ratios(name: str, conditioned: str, direct: str) -> dict[str, pl.Expr]:
    """The perplexity form takes exp of the difference: quotients of perplexities overflow."""
    known = pl.when(pl.col(direct) >= SMALLEST)
    return {
        f"{name}_loss": known.then(pl.col(conditioned) / pl.col(direct)),
        f"{name}_ppl": known.then((pl.col(conditioned) - pl.col(direct)).exp()),
    }
