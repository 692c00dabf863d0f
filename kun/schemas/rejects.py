"""The ledger of what did not go on."""

import polars as pl

from kun.schemas.schema import Schema

REJECT: Schema = {
    "id": pl.String,  # of the row; for a line that never became a row, of its origin
    "stage": pl.String,
    "status": pl.String,  # "dropped" (a rule said no) or "failed" (could not be computed; tried again on the next run)
    "reason": pl.String,  # name of the rule
    "value": pl.String,  # what the rule saw
    "threshold": pl.String,  # what it asked for
    "source": pl.String,
    "excerpt": pl.String,  # first 200 characters
}
"""data/rejects/<stage>: one row for each row that did not go on."""
