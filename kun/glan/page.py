"""The coverage as one HTML page: the taxonomy as a tree that folds, a bar for the pairs of each node. No outside request."""

from pathlib import Path
from typing import Any

import jinja2
import polars as pl

from kun.params import Glan

TEMPLATE = Path(__file__).with_name("coverage.html.j2")
BAR = 240  # pixels of the longest bar
WORDS = {
    "zh": {
        "title": "GLAN 覆盖情况",
        "pairs": "问答对",
        "subjects": "科目",
        "thin": "偏少",
        "idle": "未选用的学科",
        "of": "已选学科",
        "limit": "少于此数为偏少",
    },
    "en": {
        "title": "GLAN coverage",
        "pairs": "pairs",
        "subjects": "subjects",
        "thin": "thin",
        "idle": "disciplines that were not chosen",
        "of": "chosen disciplines",
        "limit": "thin is what has fewer than",
    },
}


def coverage_page(table: pl.DataFrame, params: Glan) -> str:
    """Render `table` (GLAN_COVERAGE with parent_id, parents first); every name is escaped."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    disciplines = table.filter((pl.col("kind") == "discipline") & pl.col("chosen"))
    widest = max([*table["pairs"], 1])
    return page.render(
        lang={"zh": "zh-CN"}.get(params.lang, params.lang),
        words=WORDS[params.lang],
        roots=_tree(table.to_dicts(), params.lang, BAR / widest),
        chosen=disciplines.height,
        pairs=disciplines["pairs"].sum(),
        thin=disciplines["thin"].sum(),
        limit=params.thin,
        bar=BAR,
    )


def _tree(rows: list[dict[str, Any]], lang: str, scale: float) -> list[dict[str, Any]]:
    """Nested nodes: name, counts, width of the bar, children, and how many disciplines below were not chosen."""
    nodes: dict[str, dict[str, Any]] = {}
    roots = []
    for row in rows:
        node = {
            "name": row[lang],
            "key": row["path"].rsplit("/", 1)[-1],
            "pairs": row["pairs"],
            "subjects": row["subjects"],
            "thin": row["thin"],
            "chosen": row["chosen"],
            "leaf": row["kind"] == "discipline",
            "width": round(row["pairs"] * scale, 1),
            "children": [],
            "idle": [],
        }
        nodes[row["id"]] = node
        if not row["parent_id"]:
            roots.append(node)
        elif node["leaf"] and not node["chosen"] and not node["pairs"]:
            nodes[row["parent_id"]]["idle"].append(node["name"])
        else:
            nodes[row["parent_id"]]["children"].append(node)
    return roots
