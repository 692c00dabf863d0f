"""Old version or new: the student's scores decide. Pure; ties, missing scores and scores that are no numbers keep the old."""

from collections.abc import Mapping

import polars as pl

from kun.params import Reflection

TEXTS = ("instruction", "input", "output")
LOSSES = ("s_cond", "s_direct", "s_rcond", "s_rdirect")
SCORES = (*LOSSES, "ifd", "rifd", "scored")
"""What the student said of a version, and why if it said nothing."""
OUTCOMES = ("both", "instruction", "answer", "original")
"""What the student took over, in the order of the table of the published selection."""


def by_ifd(margin: float) -> pl.Expr:
    """True where the new pair has the higher IFD: it is harder, so there is more to learn from it."""
    return number("new_ifd") > number("old_ifd") * (1 + margin)


def by_rifd(margin: float) -> pl.Expr:
    """True where the new answer has the lower reversed IFD: it tells more of its instruction."""
    return number("new_rifd") * (1 + margin) < number("old_rifd")


def decided(
    frame: pl.DataFrame, score: str, better: pl.Expr, vetoes: Mapping[str, pl.Expr] | None = None
) -> pl.DataFrame:
    """Add `choice` (old or new) and `reason`; `refusal` says why there is no new version, "" where there is one.

    `score` is ifd or rifd. `vetoes` name what keeps the old version although the new one may score better. Reasons of an old
    choice: the refusal, new_unscored, a veto, not_better; of a new one: better.
    """
    kept = {
        "new_unscored": number(f"new_{score}").is_null(),
        **(vetoes or {}),
        "not_better": ~better.fill_null(False),
    }
    named = [pl.when(why).then(pl.lit(name)) for name, why in kept.items()]
    refused = pl.when(pl.col("refusal") != "").then("refusal")
    reason = pl.coalesce(refused, *named, pl.lit("better"))
    return frame.with_columns(reason=reason).with_columns(
        choice=pl.when(pl.col("reason") == "better").then(pl.lit("new")).otherwise(pl.lit("old"))
    )


def chosen(frame: pl.DataFrame) -> pl.DataFrame:
    """id, source and licence with the texts and scores of the version that was chosen: all of one version, never mixed."""
    new = pl.col("choice") == "new"
    picked = [pl.when(new).then(f"new_{name}").otherwise(f"old_{name}").alias(name) for name in (*TEXTS, *SCORES)]
    return frame.select("id", "source", "licence", *picked)


def outcome(instruction: pl.Expr, answer: pl.Expr) -> pl.Expr:
    """One of OUTCOMES from the choices of both steps."""
    asked, answered = instruction == "new", answer == "new"
    return (
        pl.when(asked & answered)
        .then(pl.lit("both"))
        .when(asked)
        .then(pl.lit("instruction"))
        .when(answered)
        .then(pl.lit("answer"))
        .otherwise(pl.lit("original"))
    )


def number(column: str) -> pl.Expr:
    """A score; null where it is NaN or infinite, which polars would call greater than any number."""
    return pl.when(pl.col(column).is_finite()).then(pl.col(column))


def repeated_share(request: str, answer: str) -> float:
    """Share of the different runs of 4 characters of the request that stand in the answer; 0 for a shorter request."""
    grams = {request[start : start + 4] for start in range(len(request) - 3)}
    return sum(gram in answer for gram in grams) / len(grams) if grams else 0.0


def repeats(frame: pl.DataFrame, params: Reflection) -> pl.Series:
    """Whether the new answer repeats its instruction beyond `max_repeated`, and the old one did not."""

    def share(version: str) -> pl.Series:
        texts = frame.select(f"{version}_instruction", f"{version}_input", f"{version}_output").iter_rows()
        values = [repeated_share(f"{asked}\n{given}".strip(), answer) for asked, given, answer in texts]
        return pl.Series(values, dtype=pl.Float64)

    return (share("new") >= params.max_repeated) & (share("old") < params.max_repeated)
