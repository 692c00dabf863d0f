import re
from xml.etree import ElementTree

import polars as pl
import pytest

from kun.report.bins import bins
from kun.report.charts import Bar, Line, Part, bars, histogram, lines
from kun.report.draw import COLOURS, Spec, alone, svg

VALUES = bins(pl.Series([0.1, 0.2, 0.2, 0.9]))
assert VALUES is not None
SPECS: dict[str, Spec] = {
    "histogram": histogram(VALUES, 0.4),
    "bars": bars([Bar("清洗 <b>", [Part(0, 3, "one", "三 & <三>"), Part(3, 5, "pale", "五")], "3 · 60%")]),
    "lines": lines(
        [Line("train", [(0, 1), (1, 0.5)]), Line("held-out", [(1, 0.7)], dots=True)], mark=0.5, diagonal=True
    ),
}


@pytest.mark.parametrize("kind", SPECS)
def test_equal_specifications_give_equal_bytes(kind: str) -> None:
    first = svg(SPECS[kind], kind)
    svg(SPECS["bars"], "another in between")
    assert svg(SPECS[kind], kind) == first
    assert "clip" not in first, "the library numbers them through the process"


@pytest.mark.parametrize("kind", SPECS)
def test_every_colour_can_turn_dark(kind: str) -> None:
    drawn = svg(SPECS[kind], kind)
    lights = {light: name for name, (light, _) in COLOURS.items()}
    for tag in re.findall(r"<\w+ [^>]*>", drawn):
        for what, colour in re.findall(r'(fill|stroke)="(#\w+)"', tag):
            assert f"{what}-{lights[colour]}" in tag


def test_texts_of_others_are_escaped_and_told() -> None:
    drawn = svg(SPECS["bars"], '"><script>')
    root = ElementTree.fromstring(drawn)
    assert root.get("aria-label") == '"><script>'
    words = list(root.itertext())
    assert {"清洗 <b>", "3 · 60%", "三 & <三>", "五"} <= set(words)


def test_a_file_of_its_own_brings_its_dark_colours() -> None:
    drawn = alone(svg(SPECS["bars"], "x"))
    ElementTree.fromstring(drawn)
    assert "prefers-color-scheme: dark" in drawn and COLOURS["one"][1] in drawn


def test_the_threshold_is_drawn_where_the_bars_reach() -> None:
    assert "stroke-mark" in svg(SPECS["histogram"], "x")
    assert "stroke-mark" not in svg(histogram(VALUES, 40), "x")
