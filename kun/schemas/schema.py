"""What a table's schema is."""

import polars as pl

Schema = dict[str, type[pl.DataType] | pl.DataType]


def conform(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Select and cast the columns of `schema`, in its order; raises polars' ColumnNotFoundError when one is missing."""
    return frame.select([pl.col(name).cast(dtype) for name, dtype in schema.items()])
