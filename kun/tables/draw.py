"""Samples that stay the same whatever else is in the table: a row's turn hangs on its id alone."""

import polars as pl

from kun.tables.rules import Rule, Split, split_by_rules


def turn(weight: pl.Expr) -> pl.Expr:
    """When a row is drawn: an exponential waiting time with the weight as its rate, fixed by `id`, a hash.

    The first N of these are a weighted sample without replacement (Efraimidis and Spirakis 2006); with equal weights it
    is the order of the ids. 52 bits of an id: what a float tells apart below 1.
    """
    drawn = pl.col("id").str.head(13).str.to_integer(base=16) / 2**52
    return -(1 - drawn).log() / weight


def first_of_turns(rows: pl.DataFrame, rules: dict[str, Rule], weight: pl.Expr, over: str = "") -> Split:
    """Split by rules on `place`, the place of a row from 1 in the order of the turns, among all `rows` or those with its `over`.

    It is a column, for a rule tells `value` of the rows that it drops alone, and a rank among those would be another one.
    """
    if not rules:
        return split_by_rules(rows, {})
    place = (
        pl.struct(turn(weight).alias("turn"), "id").rank("ordinal").cast(pl.Int64)
    )  # ids decide where two turns are the same
    split = split_by_rules(rows.with_columns(place=place.over(over) if over else place), rules)
    return Split(split.kept.drop("place"), split.dropped.drop("place"))
