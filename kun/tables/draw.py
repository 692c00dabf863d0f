"""Samples that stay the same whatever else is in the table: a row's turn hangs on its id alone."""

import polars as pl


def turn(weight: pl.Expr) -> pl.Expr:
    """When a row is drawn: an exponential waiting time with the weight as its rate, fixed by `id`, a hash.

    The first N of these are a weighted sample without replacement (Efraimidis and Spirakis 2006); with equal weights it
    is the order of the ids. 52 bits of an id: what a float tells apart below 1.
    """
    drawn = pl.col("id").str.head(13).str.to_integer(base=16) / 2**52
    return -(1 - drawn).log() / weight
