"""What the scores of pairs look like: distributions, length of the answer, agreement, both ends. Pure tables.

`scored` has a row for each pair with its scores and `n_output`, the characters of its answer; no texts.
"""

import math
from typing import Any

import polars as pl

SCORES = ("ifd_loss", "ifd_ppl", "rifd_loss", "rifd_ppl", "ira")
RATIOS = ("ifd_loss", "ifd_ppl", "rifd_loss", "rifd_ppl")
"""From 1 on the condition hurts."""
COMPARED = (("ifd_ppl", "ifd_loss"), ("ifd_ppl", "rifd_ppl"), ("ifd_ppl", "s_direct"), ("ifd_ppl", "p_good"))
"""Not ira: it is -log of ifd_ppl, the same order backwards."""
TOPS = (0.05, 0.1, 0.2)
GROUPS = 5
ENDS = 20

Row = dict[str, Any]


def distributions(scored: pl.DataFrame) -> list[Row]:
    """For each score that some row has: score, rows, low (5%), median, high (95%), from_one (share of rows from 1 on, None
    where 1 means nothing) and with_length (Spearman correlation with the characters of the answer)."""
    found = []
    for score in SCORES:
        known = scored.filter(pl.col(score).is_not_null())
        if known.height:
            values = known[score]
            row = {"score": score, "rows": known.height}
            row |= {name: values.quantile(q, "linear") for name, q in (("low", 0.05), ("median", 0.5), ("high", 0.95))}
            row["from_one"] = (values >= 1).mean() if score in RATIOS else None
            found.append(row | {"with_length": spearman(values, known["n_output"])})
    return found


def by_length(scored: pl.DataFrame, score: str) -> list[Row]:
    """Rows in GROUPS of like size by the length of their answer: shortest, longest (characters), rows, median of the score."""
    known = scored.filter(pl.col(score).is_not_null())
    ordered = known.sort("n_output", "id").with_columns(group=pl.int_range(pl.len()) * GROUPS // pl.len())
    grouped = ordered.group_by("group", maintain_order=True).agg(
        shortest=pl.col("n_output").min(),
        longest=pl.col("n_output").max(),
        rows=pl.len(),
        median=pl.col(score).median(),
    )
    return grouped.drop("group").to_dicts()


def agreement(left: pl.DataFrame, right: pl.DataFrame) -> Row:
    """How far two tables (id, score) rank the same rows alike: rows with both, Spearman, share of the top in common.

    `overlap` has, for each share of TOPS, the part of the highest rows by one score that the other has there too; None where
    the share comes to no row.
    """
    both = left.select("id", left="score").join(right.select("id", right="score"), on="id").drop_nulls()
    tops = {}
    for share in TOPS:
        count = math.floor(round(share * both.height, 6))
        sets = [set(both.sort(side, "id", descending=[True, False])["id"].head(count)) for side in ("left", "right")]
        tops[share] = len(sets[0] & sets[1]) / count if count else None
    return {"rows": both.height, "spearman": spearman(both["left"], both["right"]), "overlap": tops}


def agreements(scored: pl.DataFrame) -> list[Row]:
    """`agreement` of each of the COMPARED scores that rows have, with their names as left and right."""
    found = []
    for left, right in COMPARED:
        told = agreement(*(scored.select("id", pl.col(name).alias("score")) for name in (left, right)))
        if told["rows"] > 1:
            found.append({"left": left, "right": right, **told})
    return found


def ends(scored: pl.DataFrame, score: str) -> dict[str, list[Row]]:
    """The ENDS rows with the highest score and those with the lowest: id, score."""
    known = scored.filter(pl.col(score).is_not_null()).select("id", score=score)
    return {
        name: known.sort("score", "id", descending=[descending, False]).head(ENDS).to_dicts()
        for name, descending in (("highest", True), ("lowest", False))
    }


def spearman(left: pl.Series, right: pl.Series) -> float | None:
    """Rank correlation, equal values sharing their ranks; None where one side is all the same."""
    told = pl.DataFrame({"left": left.rank(), "right": right.rank()}).select(pl.corr("left", "right")).item()
    return told if told is not None and math.isfinite(told) else None
