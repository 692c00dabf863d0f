"""What each node of the taxonomy has brought, as a table and as pages."""

from typing import Any

import polars as pl

from kun.glan.page import PAGES, coverage_page
from kun.params import Glan
from kun.project import Project
from kun.tables.ledger import close_stage
from kun.tables.shards import read_dataset, write_text

STAGE = "glan/coverage"
COUNTED = ("subjects", "questions", "pairs")


def coverage(project: Project, params: Glan) -> dict[str, Any]:
    """Count subjects, questions and pairs of every kept node; data/glan/coverage and reports/glan/coverage*.html."""
    nodes = read_dataset(project.dataset("glan/nodes"))
    for name in COUNTED:
        nodes = nodes.join(_of_disciplines(project, name), on="id", how="left", maintain_order="left")
    table = upwards(nodes).with_columns(
        thin=pl.col("chosen") & (pl.col("kind") == "discipline") & (pl.col("pairs") < params.thin)
    )
    for lang, page in PAGES.items():
        write_text(project.root / "reports" / "glan" / page, coverage_page(table, params, lang))
    thin, empty = table["thin"].sum(), table.filter((pl.col("kind") == "discipline") & (pl.col("pairs") == 0)).height
    return close_stage(project, STAGE, "glan/coverage", nodes.height, table, [], thin=thin, without_pairs=empty)


def upwards(nodes: pl.DataFrame) -> pl.DataFrame:
    """Counts of disciplines added up to all nodes above them; null counts as none."""
    totals = {row["id"]: {name: row[name] or 0 for name in COUNTED} for row in nodes.iter_rows(named=True)}
    for row in reversed(nodes.to_dicts()):  # parents stand before children
        if row["parent_id"]:
            above, own = totals[row["parent_id"]], totals[row["id"]]
            above |= {name: above[name] + own[name] for name in COUNTED}
    return nodes.with_columns(pl.Series(name, [totals[id][name] for id in nodes["id"]]) for name in COUNTED)


def _of_disciplines(project: Project, name: str) -> pl.DataFrame:
    """Node id -> rows of data/glan/<name>; a pair belongs to the discipline of its question."""
    rows = read_dataset(project.dataset(f"glan/{name}"), ["id"] if name == "pairs" else ["id", "discipline_id"])
    if name == "pairs":
        owners = read_dataset(project.dataset("glan/questions"), ["id", "discipline_id"])
        rows = rows.join(owners, on="id", how="left", maintain_order="left")
    return rows.group_by("discipline_id").agg(pl.len().cast(pl.Int64).alias(name)).rename({"discipline_id": "id"})
