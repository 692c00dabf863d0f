"""An order of learning by IRA, from easy to hard (FedDQC, arXiv:2410.11540)."""

import polars as pl


def levels(scores: pl.DataFrame, k: int, threshold: float) -> pl.DataFrame:
    """(id, level, rank) of the rows (id, ira) whose IRA is at least `threshold`, the highest first; level 1 is the easiest.

    Level i takes floor(rest / (k - i + 1)) rows of the rest, so sizes differ by one at most. Ties stand in the order of ids.
    """
    ordered = scores.filter(pl.col("ira") >= threshold).sort("ira", "id", descending=[True, False])
    sizes, rest = [], ordered.height
    for left in range(k, 0, -1):
        sizes.append(rest // left)
        rest -= sizes[-1]
    numbers = [level for level, size in enumerate(sizes, 1) for _ in range(size)]
    return ordered.select(
        "id", level=pl.Series(numbers, dtype=pl.Int64), rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    )
