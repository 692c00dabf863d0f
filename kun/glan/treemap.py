"""The coverage as a picture: a tile for each discipline, as large as its pairs, inside its sub-field and field."""

import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from kun.release.files import count
from kun.report.draw import Spec, light, vega_svg
from kun.terminal import display_width, printable

WIDTHS = {"wide": 860, "narrow": 350}
"""Pixels; pages show one of the two, so that letters stay of one size on a desktop and on a phone."""
TILE = {"wide": 4600, "narrow": 4200}
"""Mean area of a tile, heads included."""
LOWEST = 120  # pixels of the whole picture
HEAD = 18  # pixels above the tiles of a field, and of a sub-field
LETTERS = 11  # pixels
COLUMN, BOLD = 6.4, 7.2
"""Pixels of a column of a terminal, of which a wide character takes two: for LETTERS in the wider fonts, and in bold."""
LETTERS_LEAST = 4  # columns: less of a name tells nothing
LINE = 14
COLUMNS, LINES = 48, 4
"""The most that a tile shows, whatever its size."""
LEAST = 30
"""No tile is smaller than the largest divided by this: what has no pairs is to be seen."""

Row = dict[str, Any]
ROOT = "root"  # the id of what stands above the fields; those of nodes are hexadecimal
_PIECES = re.compile(r"\s*(?:[^\s\u2e80-\uffef]+|[\u2e80-\uffef])")
"""Words, or single characters where lines break anywhere."""


def treemaps(table: pl.DataFrame, lang: str, title: str, unit: str) -> dict[str, str]:
    """Kind of WIDTHS -> SVG of the disciplines that were chosen or have pairs; {} when there are none.

    `table` is GLAN_COVERAGE with parent_id, parents first; `unit` is what tips call the pairs.
    """
    rows = _rows(table, lang, unit)
    leaves, heads = (sum((row["kind"] == "discipline") == leaf for row in rows) for leaf in (True, False))
    if not leaves:
        return {}
    drawn = {kind: vega_svg(_spec(rows, width, _height(leaves, heads, kind)), title) for kind, width in WIDTHS.items()}
    whole = all(picture.count("<title>") == leaves for picture in drawn.values())
    assert whole, "a picture lacks tiles: the library does not raise its errors"
    return drawn


def fitted(name: str, told: str, columns: int, lines: int) -> list[str]:
    """What fits into a tile: the name and below it `told`, the name alone, or its beginning with an ellipsis."""
    whole = wrapped(name, columns)
    fits = next((place for place, line in enumerate(whole) if display_width(line) > columns), len(whole))
    if fits == len(whole) <= lines:
        return [*whole, told] if len(whole) < lines and display_width(told) <= columns else whole
    last = min(fits, lines - 1)
    return [*whole[:last], _cut(whole[last], columns)] if lines and columns >= LETTERS_LEAST else []


def wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most `columns`, broken between words, and anywhere in Chinese; a word that is longer has its own line."""
    lines = [""]
    for piece in _PIECES.findall(text):
        if lines[-1] and display_width(lines[-1] + piece) > columns:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return lines


def _cut(line: str, columns: int) -> str:
    while display_width(line) >= columns:
        line = line[:-1]
    return f"{line}…"


def _rows(table: pl.DataFrame, lang: str, unit: str) -> list[Row]:
    """Nodes with a discipline to show, and the root above the fields."""
    nodes = {row["id"]: row for row in table.iter_rows(named=True)}
    leaves = [row for row in nodes.values() if row["kind"] == "discipline" and (row["chosen"] or row["pairs"])]
    kept = set()
    for leaf in leaves:
        key = leaf["id"]
        while key:
            kept.add(key)
            key = nodes[key]["parent_id"]
    least = max([*(leaf["pairs"] for leaf in leaves), LEAST]) / LEAST
    root: Row = {"id": ROOT, "parent": None, "kind": "root", "size": 0}
    return [root, *(_row(row, lang, unit, least) for row in nodes.values() if row["id"] in kept)]


def _row(node: Row, lang: str, unit: str, least: float) -> Row:
    name, leaf = printable(node[lang]), node["kind"] == "discipline"
    return {
        "id": node["id"],
        "parent": node["parent_id"] or ROOT,
        "kind": node["kind"],
        "size": max(node["pairs"], least) if leaf else 0,
        "thin": bool(node["thin"]),
        "tip": f"{name}: {count(node['pairs'])} {unit}",
        "told": [
            [fitted(name, count(node["pairs"]), columns, lines) for lines in range(LINES + 1)]
            for columns in range(COLUMNS + 1)
        ],
    }


def _height(leaves: int, heads: int, kind: str) -> int:
    width = WIDTHS[kind]
    return max(LOWEST, round((leaves * TILE[kind] + heads * HEAD * width / 3) / width))


def _spec(rows: Sequence[Row], width: int, height: int) -> Spec:
    layout = {
        "type": "treemap",
        "field": "size",
        "sort": {"field": "value", "order": "descending"},
        "size": [width, height + HEAD],  # the root has a head, too, which stays outside of the picture
        "paddingInner": 4,
        "paddingTop": HEAD,
        "round": True,
    }
    tree = [{"type": "stratify", "key": "id", "parentKey": "parent"}, layout]
    kinds = {"leaves": "datum.kind == 'discipline'", "heads": "datum.kind == 'field' || datum.kind == 'subfield'"}
    chosen = [
        {"name": name, "source": "tree", "transform": [{"type": "filter", "expr": expr}]}
        for name, expr in kinds.items()
    ]
    return {
        "width": width,
        "height": height,
        "data": [{"name": "tree", "values": list(rows), "transform": tree}, *chosen],
        "marks": [_tiles(), _words(), _heads()],
    }


def _tiles() -> Spec:
    top = {f"y{end}": {"signal": f"datum.y{place} - {HEAD}"} for end, place in (("", 0), ("2", 1))}
    return {
        "type": "rect",
        "from": {"data": "leaves"},
        "encode": {
            "enter": {
                "x": {"field": "x0"},
                "x2": {"field": "x1"},
                **top,
                "fill": {"signal": f"datum.thin ? '{light('thin')}' : '{light('pale')}'"},
                "stroke": {"signal": f"datum.thin ? '{light('mark')}' : null"},
                "strokeDash": {"value": [4, 3]},
                "description": {"field": "tip"},
            }
        },
    }


def _words() -> Spec:
    lines = f"min({LINES}, floor((datum.y1 - datum.y0 - 4) / {LINE}))"
    text = f"datum.told[{_columns(10, COLUMN)}][{lines}]"
    return _text("leaves", text, 5, f"datum.y0 - {HEAD} + {LINE}", {"value": "normal"}, light("ink"))


def _heads() -> Spec:
    weight = {"signal": "datum.kind == 'field' ? 'bold' : 'normal'"}
    return _text("heads", f"datum.told[{_columns(2, BOLD)}][1]", 1, "datum.y0 - 5", weight, light("quiet"))


def _columns(margin: int, each: float) -> str:
    return f"clamp(floor((datum.x1 - datum.x0 - {margin}) / {each}), 0, {COLUMNS})"


def _text(data: str, text: str, left: int, y: str, weight: Spec, colour: str) -> Spec:
    shown = {
        "text": {"signal": text},
        "x": {"field": "x0", "offset": left},
        "y": {"signal": y},
        "fontSize": {"value": LETTERS},
        "fontWeight": weight,
        "lineHeight": {"value": LINE},
        "fill": {"value": colour},
    }
    return {"type": "text", "aria": False, "from": {"data": data}, "encode": {"enter": shown}}
