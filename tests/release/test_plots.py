import math
import re
from xml.etree import ElementTree

import polars as pl
import pytest

from kun.release.plots import curves_svg, funnel_svg, histogram_svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


def bars(svg: str) -> list[str]:
    """Tooltips of the bars."""
    return [str(rect[0].text) for rect in ElementTree.fromstring(svg).iter(f"{NAMESPACE}rect")]


def test_funnel_bars_and_names() -> None:
    frame = pl.DataFrame({"stage": ["ingest", "<clean>"], "rows_in": [4, 0], "kept": [3, 0]})
    svg = funnel_svg(frame, title="a < b", names={"ingest": "读入"})
    assert bars(svg) == ["读入: 4 in", "读入: 3 kept", "<clean>: 0 in", "<clean>: 0 kept"]
    assert "75.0%" in svg and "<clean>" not in svg


def test_histogram_counts_every_finite_value_once() -> None:
    values = [0.1 * step for step in range(10)] + [None, math.nan, math.inf]
    svg = histogram_svg(values, "x", "", bins=10)
    assert bars(svg) == [f"{step / 10:g} – {(step + 1) / 10:g}: 1" for step in range(10)]
    assert "n = 10" in svg


@pytest.mark.parametrize("values", [[0.5], [3, 3, 3], list(range(1000)), [0, 1], [-2.5, 7.25, 9.0], [1e-9, 2e-9]])
def test_histogram_keeps_the_number_of_bins(values: list[float]) -> None:
    tips = bars(histogram_svg(values, "x", "", bins=12))
    assert 1 <= len(tips) <= 12
    assert sum(int(tip.rsplit(": ", 1)[1].replace(",", "")) for tip in tips) == len(values)


def test_histogram_gathers_a_long_tail() -> None:
    tips = bars(histogram_svg([*range(200), 100_000], "x", "", bins=24))
    assert tips[-1].startswith("≥ ") and len(tips) <= 24


def test_whole_numbers_get_whole_bins() -> None:
    edges = [tip.split(" – ")[0] for tip in bars(histogram_svg([1, 2, 3], "x", "", bins=24))]
    assert edges == ["1", "2", "3"]


def test_mark_is_drawn_only_inside_the_axis() -> None:
    assert 'class="mark"' in histogram_svg([0.1, 0.9], "x", "", mark=(0.5, "threshold"))
    assert 'class="mark"' not in histogram_svg([0.1, 0.2], "x", "", mark=(5.0, "threshold"))


def test_nothing_to_draw_is_still_a_picture() -> None:
    for svg in (histogram_svg([None], "x", ""), curves_svg({}, "x"), funnel_svg(pl.DataFrame(schema={
        "stage": pl.String, "rows_in": pl.Int64, "kept": pl.Int64}))):  # fmt: skip
        ElementTree.fromstring(svg)


def test_curves_of_one_and_two_epochs() -> None:
    svg = curves_svg({"train": [(1, 3.5), (2, 2.5)], "held-out": [(1, 3.0), (2, 3.0)]}, "loss")
    assert len(list(ElementTree.fromstring(svg).iter(f"{NAMESPACE}polyline"))) == 2
    ElementTree.fromstring(curves_svg({"train": [(1, 3.5)]}, "loss"))


def test_no_picture_reaches_beyond_its_frame() -> None:
    frame = pl.DataFrame({"stage": ["ingest"], "rows_in": [1_000_000], "kept": [1_000_000]})
    for svg in (funnel_svg(frame), histogram_svg([1, 5, 9], "x", "")):
        width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
        for rect in ElementTree.fromstring(svg).iter(f"{NAMESPACE}rect"):
            assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= width
            assert float(rect.get("y", 0)) + float(rect.get("height", 0)) <= height


def test_texts_are_escaped() -> None:
    svg = histogram_svg([1.0], '<script>"&', "<b>", mark=(1.0, "<i>"))
    ElementTree.fromstring(svg)
    assert "<script>" not in svg and "<b>" not in svg and "<i>" not in svg
