"""Values -> bars: of round widths for pictures, of fixed widths for tables that `dvc plots diff` lays over each other."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

MOST_BARS = 24


@dataclass(frozen=True)
class Bins:
    """Bars of one width, and what is told of the values."""

    low: float
    """Lower edge of the first bar."""
    step: float
    counts: list[int]
    gathered: bool
    """The last bar holds the long right tail too."""
    n: int
    """Finite values; all others are left out."""
    median: float
    largest: float

    def edge(self, place: int) -> float:
        """Lower edge of a bar."""
        return self.low + self.step * place


def bins(values: pl.Series, most: int = MOST_BARS) -> Bins | None:
    """At most `most` bars of a round width; None without a finite value. Works on millions of values."""
    known = values.drop_nulls().cast(pl.Float64)
    known = known.filter(known.is_finite())
    if known.is_empty():
        return None
    least, largest = _number(known.min()), _number(known.max())
    high = _number(known.quantile(0.99, "higher"))
    gathered = largest - least > 1.5 * (high - least) > 0
    top = high if gathered else largest
    step = round_step((top - least) / max(1, most - 1), whole=bool((known == known.floor()).all()))
    first = math.floor(least / step + 1e-9)
    last = min(math.floor(top / step + 1e-9) - first, most - 1)
    # The little more keeps 0.15 / 0.05 = 2.999... in the bar that starts at 0.15.
    places = ((known / step + 1e-9).floor() - first).clip(0, last).cast(pl.Int64)
    tally = dict(places.alias("place").to_frame().group_by("place").len().iter_rows())
    counts = [tally.get(place, 0) for place in range(last + 1)]
    return Bins(first * step, step, counts, gathered, known.len(), _number(known.median()), largest)


def round_step(least: float, whole: bool) -> float:
    """The smallest of 1, 2, 2.5 (unless `whole`), 5 times a power of ten that is at least `least`."""
    if whole:
        least = max(least, 1.0)
    if least <= 0:
        return 0.05
    power = 10.0 ** math.floor(math.log10(least))
    factors = (1.0, 2.0, 5.0, 10.0) if whole else (1.0, 2.0, 2.5, 5.0, 10.0)
    return next(factor * power for factor in factors if factor * power >= least * (1 - 1e-9))


def fixed_bins(distributions: Mapping[str, pl.Series], steps: Mapping[str, float], column: str) -> pl.DataFrame:
    """Columns `column` (a key of `steps`), bin (its lower edge), count."""
    tables = [pl.DataFrame(schema={column: pl.String, "bin": pl.Float64, "count": pl.UInt32})]
    for kind, step in steps.items():
        values = distributions.get(kind, pl.Series(dtype=pl.Float64)).cast(pl.Float64)
        places = (values.filter(values.is_finite()) / step + 1e-9).floor()
        tally = places.alias("place").to_frame().group_by("place").len("count").sort("place")
        tables.append(
            tally.select(pl.lit(kind).alias(column), (pl.col("place") * step).round(4).alias("bin"), pl.col("count"))
        )
    return pl.concat(tables)


def short(value: float) -> str:
    """Thousands with separators, smaller ones to four digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 6):.4g}"


def _number(value: object) -> float:
    assert isinstance(value, int | float)  # of a series that is not empty
    return float(value)
