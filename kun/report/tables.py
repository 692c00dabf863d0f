"""What page.js is told of a table: its columns, filters and words, and the rows."""

from typing import Any

from kun.report.records import Row
from kun.report.words import Words, stage_names

TOLD = ("search", "all", "order", "as_drawn", "lowest_first", "highest_first", "showing", "nothing_found", "more_rows")


def released_table(rows: list[Row], words: Words) -> dict[str, Any]:
    """`columns` stand in the row, `whole` in what opens below it; a score that no row has is left out."""
    numbers = [name for name in ("p_good", "ifd_ppl", "support", "copy_rate") if _known(rows, name)]
    return _table(
        rows,
        words,
        columns=[
            ("instruction", "long"),
            ("output", "long"),
            ("source", "word"),
            *((name, "number") for name in numbers),
        ],
        filters=("source", "method", "licence"),
        order=(*numbers, *(["rank"] if _known(rows, "rank") else [])),
        whole=("instruction", "input", "text", "output", "source", "method", "licence", "rank", "id"),
        names={"output": "answer"},
    )


def dropped_table(rows: list[Row], words: Words) -> dict[str, Any]:
    """As `released_table`; stages by their names in this language."""
    names = stage_names(words)
    told = [row | {"stage": names[row["stage"]], "status": words[row["status"]]} for row in rows]
    return _table(
        told,
        words,
        columns=[("excerpt", "long"), ("stage", "word"), ("reason", "code"), ("value", "clip"), ("threshold", "clip")],
        filters=("stage", "reason", "source", "status"),
        order=(),
        whole=("excerpt", "value", "threshold", "stage", "status", "reason", "source", "id"),
        names={},
    )


def _table(
    rows: list[Row],
    words: Words,
    columns: list[tuple[str, str]],
    filters: tuple[str, ...],
    order: tuple[str, ...],
    whole: tuple[str, ...],
    names: dict[str, str],
) -> dict[str, Any]:
    def column(key: str) -> dict[str, str]:
        label = names.get(key, key)
        return {"key": key, "label": key if key in SCORE_NAMES else words[label]}

    return {
        "columns": [column(key) | {"kind": kind} for key, kind in columns],
        "filters": [column(key) for key in filters if len({row[key] for row in rows}) > 1],
        "order": [column(key) for key in order],
        "whole": [column(key) for key in whole],
        "words": {name: words[name] for name in TOLD},
        "rows": rows,
    }


SCORE_NAMES = ("p_good", "ifd_ppl", "support", "copy_rate")
"""Columns that go by the name of the score in every language."""


def _known(rows: list[Row], name: str) -> bool:
    return any(row[name] is not None for row in rows)
