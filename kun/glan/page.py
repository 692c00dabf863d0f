"""The coverage as a page in each language: tiles, and the taxonomy as a tree that folds. No outside request, no script."""

from pathlib import Path
from typing import Any

import polars as pl

from kun.glan.treemap import treemaps
from kun.params import Glan
from kun.release import files
from kun.report.style import STYLE, policy_hash, style

TEMPLATE = Path(__file__).with_name("coverage.html.j2")
PAGES = {"en": "coverage.html", "zh": "coverage.zh-CN.html"}
"""Language -> file in reports/glan."""
WORDS = {
    "en": {
        "lang": "en",
        "other": "中文",
        "title": "Coverage of the taxonomy",
        "lead": "What GLAN has brought of each field, sub-field and discipline.",
        "figures": "Headline numbers",
        "chosen": "chosen disciplines",
        "subjects": "subjects",
        "pairs": "pairs",
        "thin_ones": "thin disciplines: fewer than {limit} pairs",
        "thin": "thin",
        "enough": "enough pairs",
        "tiles": "Disciplines by their pairs",
        "tiles_note": "The area of a tile is the pairs of its discipline, at least a thirtieth of the largest. Dashed: thin.",
        "tree": "The tree",
        "tree_note": "Bars compare nodes of one level.",
        "idle": "disciplines that were not chosen",
    },
    "zh": {
        "lang": "zh-CN",
        "other": "English",
        "title": "分类体系的覆盖情况",
        "lead": "GLAN 在每个领域、子领域与学科中得到了什么。",
        "figures": "总览",
        "chosen": "已选学科",
        "subjects": "科目",
        "pairs": "问答对",
        "thin_ones": "偏少的学科：问答对不足 {limit} 条",
        "thin": "偏少",
        "enough": "足够",
        "tiles": "各学科的问答对",
        "tiles_note": "每块一个学科，面积为问答对数，最小为最大块的三十分之一。虚线框：偏少。",
        "tree": "完整的树",
        "tree_note": "条形只在同一层内比较。",
        "idle": "未选用的学科",
    },
}


def coverage_page(table: pl.DataFrame, params: Glan, lang: str) -> str:
    """Render `table` (GLAN_COVERAGE with parent_id, parents first); every name is escaped."""
    words = WORDS[lang]
    disciplines = table.filter(pl.col("kind") == "discipline")
    look = style(STYLE, TEMPLATE.with_name("coverage.css"))
    return files.render(
        TEMPLATE,
        t=words,
        other=next(page for name, page in PAGES.items() if name != lang),
        chosen=disciplines["chosen"].sum(),
        subjects=disciplines["subjects"].sum(),
        pairs=disciplines["pairs"].sum(),
        thin=disciplines["thin"].sum(),
        limit=params.thin,
        pictures=treemaps(table, lang, words["tiles"], words["pairs"]),
        roots=_tree(table, lang),
        style=look,
        style_hash=policy_hash(look),
    )


def _tree(table: pl.DataFrame, lang: str) -> list[dict[str, Any]]:
    """Nested nodes: name, counts, width of the bar in percent, children, and the disciplines below that were not chosen."""
    largest = dict(table.group_by("kind").agg(pl.col("pairs").max()).iter_rows())
    nodes: dict[str, dict[str, Any]] = {}
    roots = []
    for row in table.iter_rows(named=True):
        node = {
            **{name: row[name] for name in ("pairs", "subjects", "thin")},
            "name": row[lang],
            "key": row["path"].rsplit("/", 1)[-1],
            "leaf": row["kind"] == "discipline",
            "width": round(100 * row["pairs"] / max(largest[row["kind"]], 1), 1),
            "children": [],
            "idle": [],
        }
        nodes[row["id"]] = node
        if not row["parent_id"]:
            roots.append(node)
        elif node["leaf"] and not row["chosen"] and not row["pairs"]:
            nodes[row["parent_id"]]["idle"].append(node["name"])
        else:
            nodes[row["parent_id"]]["children"].append(node)
    return roots
