"""Items of a reply that could not be used, as rows for the ledger."""

import polars as pl

from kun.glan.ask import Told
from kun.glan.names import record_id


def refused_items(told: Told) -> pl.DataFrame:
    """One row for each item that was refused in a reply of which others are used."""
    rows = [
        {
            "id": record_id(reply=row["id"], item=place),
            "reason": fault.reason,
            "value": fault.detail,
            "threshold": "",
            "source": row["source"],
            "text": row["text"],
        }
        for row, items in zip(told.rows.iter_rows(named=True), told.replies, strict=True)
        for place, fault in enumerate(items.refused)
    ]
    columns = ("id", "reason", "value", "threshold", "source", "text")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String))
