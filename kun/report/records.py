"""The rows that the page shows and searches: drawn from the release and from what was left out, within a budget of bytes."""

import json
import random
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import polars as pl

from kun.lazily import rows_at, rows_of, scan, spread
from kun.project import Project
from kun.release.funnel import STAGES
from kun.tables.shards import shards

RELEASED = 400
SEED = 7
A_REASON = 12
"""Rows shown of one reason of one stage."""
EXCERPT = 400  # characters of a text
RELEASED_BYTES, DROPPED_BYTES = 1_600_000, 1_200_000
"""Of the rows as JSON: with pictures and tables a page stays under 5 MB, whatever the rows hold."""
SCORES = ("p_good", "ifd_ppl", "support", "copy_rate", "rank")
DIGITS = 4

Row = dict[str, Any]


def released_rows(project: Project) -> list[Row]:
    """A seeded draw of data/selected, in the order of the draw; texts are cut, `text` is the raw one, None if not at hand."""
    found = scan(project, "selected")
    assert found is not None  # whoever makes a report has looked
    rows = found.select(pl.len()).collect().item()
    places = random.Random(SEED).sample(range(rows), min(RELEASED, rows))
    order = {place: number for number, place in enumerate(sorted(places))}
    drawn = rows_at(found, places)[[order[place] for place in places]]
    texts = _raw_texts(project, drawn["id"].to_list())
    cut = [
        {
            "id": row["id"],
            **{name: cut_off(row[name]) for name in ("instruction", "input", "output")},
            "text": cut_off(texts.get(row["id"])),
            **{name: row[name] for name in ("source", "method", "licence")},
            **{name: _rounded(row[name]) for name in SCORES},
        }
        for row in drawn.iter_rows(named=True)
    ]
    return within(cut, RELEASED_BYTES)


def dropped_rows(project: Project) -> list[Row]:
    """Of every reason of every stage some rows, evenly over its rejects."""
    found = [row for stage in STAGES if project.rejects(stage).is_dir() for row in _rejects(project, stage)]
    return within(found, DROPPED_BYTES)


def reasons(project: Project) -> pl.DataFrame:
    """Columns stage, status, reason, rows: by stage, the most frequent first."""
    schema = {"stage": pl.String, "status": pl.String, "reason": pl.String, "rows": pl.Int64}
    tables = [pl.DataFrame(schema=schema)]
    for stage in (stage for stage in STAGES if project.rejects(stage).is_dir()):
        rejects = pl.scan_parquet(shards(project.rejects(stage))).group_by("status", "reason")
        tally = rejects.agg(rows=pl.len().cast(pl.Int64)).collect(engine="streaming")
        ordered = tally.sort(["rows", "status", "reason"], descending=[True, False, False])
        tables.append(ordered.select(pl.lit(stage).alias("stage"), "status", "reason", "rows"))
    return pl.concat(tables)


def within(rows: list[Row], budget: int) -> list[Row]:
    """As many rows as fit, evenly over all of them."""
    sizes = list(accumulate(len(as_json(row).encode()) + 1 for row in rows))
    if not rows or sizes[-1] <= budget:
        return rows
    most = budget * len(rows) // sizes[-1]
    while most and sum(len(as_json(rows[place]).encode()) + 1 for place in spread(len(rows), most)) > budget:
        most = most * 9 // 10
    return [rows[place] for place in spread(len(rows), most)]


def as_json(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element or start a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate becomes a question mark


def cut_off(text: str | None, most: int = EXCERPT) -> str | None:
    """The beginning of a text; whoever reads it sees that it goes on."""
    return text if text is None or len(text) <= most else text[:most] + "…"


def _raw_texts(project: Project, ids: list[str]) -> dict[str, str]:
    """As the model read them: of the corpus, where private data is masked and the script converted, else as ingested."""
    texts: dict[str, str] = {}
    for dataset in ("ingested", "corpus"):
        found = scan(project, dataset)
        if found is not None:
            rows = rows_of(found.select("id", pl.col("text").str.head(EXCERPT + 1)), ids)
            texts |= {id: str(row["text"]) for id, row in rows.items()}
    return texts


def _rejects(project: Project, stage: str) -> Iterable[Row]:
    ledger = pl.scan_parquet(shards(project.rejects(stage)))
    kinds = ledger.select("status", "reason").with_row_index("place").collect(engine="streaming")
    groups = kinds.group_by("status", "reason").agg("place").sort("status", "reason")
    places = [group[place] for group in groups["place"] for place in spread(len(group), A_REASON)]
    for row in rows_at(ledger, places).sort("status", "reason", maintain_order=True).iter_rows(named=True):
        yield {
            name: row[name] for name in ("stage", "status", "reason", "source", "value", "threshold", "excerpt", "id")
        }


def _rounded(value: float | None) -> float | None:
    return round(value, DIGITS) if isinstance(value, float) else value
