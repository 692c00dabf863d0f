"""The kinds of pictures, as Vega-Lite specifications: histogram, bars, layers of bars, lines.

All are WIDTH wide: a card of the page on a desktop, the whole page on a phone, so that their letters stay of one size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kun.report.bins import Bins, round_step, short
from kun.report.draw import SERIES, Spec, light

WIDTH = 350
ROW = 21
"""Height of one bar with its space."""
TALL = 150
_LEFT, _RIGHT = 48, 14
NAMES = 112
"""Width of the names beside lying bars."""


@dataclass(frozen=True)
class Part:
    """A piece of a lying bar."""

    start: float
    end: float
    colour: str
    tip: str


@dataclass(frozen=True)
class Bar:
    """One lying bar: its name, its parts, and what stands behind it."""

    name: str
    parts: Sequence[Part]
    told: str


@dataclass(frozen=True)
class Line:
    """Points (x, y) in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False
    band: Sequence[tuple[float, float, float]] = ()
    """(x, low, high): between them a paler surface."""


def histogram(found: Bins, mark: float | None = None) -> Spec:
    """Bars of counts; `mark` is a threshold, drawn where the bars reach it."""
    last = len(found.counts) - 1
    rows = [
        {
            "low": found.edge(place),
            "high": found.edge(place + 1),
            "count": count,
            "tip": f"{_span(found, place)}: {count:,}",
        }
        for place, count in enumerate(found.counts)
    ]
    ends = _with(mark, found.low, found.edge(last + 1))
    every = max(1, -(-len(found.counts) // 5))
    ticks = [found.edge(place) for place in range(0, last + (0 if found.gathered else 2), every)]
    if found.gathered:
        ticks = [tick for tick in ticks if tick <= found.edge(last) - 0.7 * every * found.step] + [found.edge(last)]
    x = {
        "field": "low",
        "type": "quantitative",
        "bin": "binned",
        "scale": {"domain": ends, "nice": False, "zero": False},
        "axis": {"values": ticks, "grid": False, "labelExpr": _labels(ticks, found.gathered)},
    }
    bars: Spec = {
        "mark": {"type": "bar", "color": light("one"), "binSpacing": 1},
        "encoding": {
            "x": x,
            "x2": {"field": "high"},
            "y": {"field": "count", "type": "quantitative", "axis": _counts(max(found.counts))},
            "description": {"field": "tip"},
        },
    }
    layers = [bars]
    if mark is not None and ends[0] <= mark <= ends[1]:
        layers.append(_upright(mark))
    return _plot(rows, layers)


def bars(rows: Sequence[Bar]) -> Spec:
    """Lying bars, one below the other, to one scale."""
    parts = [
        {"row": place, "start": part.start, "end": part.end, "colour": light(part.colour), "tip": part.tip}
        for place, bar in enumerate(rows)
        for part in bar.parts
    ]
    largest = max([part["end"] for part in parts if isinstance(part["end"], int | float)] or [0]) or 1
    ends = [
        {"row": place, "name": bar.name, "told": bar.told, "end": max([part.end for part in bar.parts] or [0])}
        for place, bar in enumerate(rows)
    ]
    y = {"field": "row", "type": "ordinal", "axis": None, "scale": {"paddingInner": 0.3, "paddingOuter": 0.15}}
    x = {"field": "start", "type": "quantitative", "axis": None, "scale": {"domain": [0, largest], "nice": False}}
    drawn: Spec = {
        "data": {"values": parts},
        "mark": {"type": "bar"},
        "encoding": {
            "y": y,
            "x": x,
            "x2": {"field": "end"},
            "color": {"field": "colour", "type": "nominal", "scale": None},
            "description": {"field": "tip"},
        },
    }
    names = _words(ends, "name", y, {"value": -8}, "right", "ink")
    told = _words(ends, "told", y, {**x, "field": "end"}, "left", "quiet", 6)
    return {
        "width": WIDTH - NAMES - 78,
        "height": ROW * max(1, len(rows)),
        "padding": {"left": NAMES, "right": 78, "top": 2, "bottom": 2},
        "layer": [drawn, names, told],
    }


def lines(
    drawn: Sequence[Line],
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    mark: float | None = None,
    diagonal: bool = False,
) -> Spec:
    """Lines in the order of SERIES; `x` and `y` are the ends of the axes, by default those of the points."""
    rows = [
        {
            "x": point[0],
            "y": point[1],
            "colour": light(colour),
            "tip": f"{line.name}: {short(point[0])}, {short(point[1])}",
        }
        for line, colour in zip(drawn, SERIES, strict=False)
        for point in line.points
    ]
    across: Spec = {"field": "x", "type": "quantitative", "axis": {"grid": False, "tickCount": 5}}
    across |= {"scale": {"domain": list(x) if x else _ends([row["x"] for row in rows]), "nice": False, "zero": False}}
    up: Spec = {"field": "y", "type": "quantitative", "axis": {"tickCount": 4}}
    up |= {"scale": {"domain": list(y), "nice": False} if y else {"zero": False, "nice": True}}
    colour = {"field": "colour", "type": "nominal", "scale": None}
    encoding = {"x": across, "y": up, "color": colour}
    layers: list[Spec] = [
        *_bands(drawn, across, up),
        {"mark": {"type": "line", "strokeWidth": 2, "interpolate": "linear"}, "encoding": encoding},
    ]
    dotted = {light(name) for line, name in zip(drawn, SERIES, strict=False) if line.dots}
    points = [row for row in rows if row["colour"] in dotted]
    if points:
        circle = {"type": "circle", "size": 36, "opacity": 1}
        layers.append(
            {"data": {"values": points}, "mark": circle, "encoding": {**encoding, "description": {"field": "tip"}}}
        )
    if diagonal:
        corners = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
        dashed = {"type": "line", "color": light("rest"), "strokeDash": [4, 4], "strokeWidth": 1}
        layers.insert(0, {"data": {"values": corners}, "mark": dashed, "encoding": {"x": across, "y": up}})
    if mark is not None:
        layers.append(_upright(mark))
    return _plot(rows, layers)


def _bands(drawn: Sequence[Line], across: Spec, up: Spec) -> list[Spec]:
    """What lies behind the lines."""
    layers: list[Spec] = []
    for line, colour in zip(drawn, SERIES, strict=False):
        if line.band:
            rows = [{"x": x, "low": low, "high": high} for x, low, high in line.band]
            area = {"type": "area", "color": light(colour), "opacity": 0.16, "aria": False}
            ends = {"x": across, "y": {**up, "field": "low"}, "y2": {"field": "high"}}
            layers.append({"data": {"values": rows}, "mark": area, "encoding": ends})
    return layers


def _plot(rows: list[dict[str, Any]], layers: list[Spec]) -> Spec:
    return {
        "width": WIDTH - _LEFT - _RIGHT,
        "height": TALL,
        "padding": {"left": _LEFT, "right": _RIGHT, "top": 10, "bottom": 24},
        "data": {"values": rows},
        "layer": layers,
    }


def _upright(x: float) -> Spec:
    """A dashed line at a threshold."""
    rule = {"type": "rule", "color": light("mark"), "strokeDash": [4, 3], "strokeWidth": 1.5}
    encoding = {"x": {"field": "mark", "type": "quantitative"}, "description": {"field": "tip"}}
    return {"data": {"values": [{"mark": x, "tip": short(x)}]}, "mark": rule, "encoding": encoding}


def _words(rows: list[dict[str, Any]], field: str, y: Spec, x: Spec, align: str, colour: str, dx: int = 0) -> Spec:
    mark = {"type": "text", "align": align, "baseline": "middle", "dx": dx, "fontSize": 11, "color": light(colour)}
    mark |= {"limit": 0, "aria": False}
    return {
        "data": {"values": rows},
        "mark": mark,
        "encoding": {"y": y, "x": x, "text": {"field": field, "type": "nominal"}},
    }


def _counts(most: int) -> Spec:
    step = round_step(most / 4, whole=True)
    return {"values": [step * place for place in range(int(most / step) + 1)], "format": "~s", "domain": False}


def _labels(ticks: list[float], gathered: bool) -> str:
    """A Vega expression: the number that we wrote for each tick (d3 would write 1k, 0.30000000000000004)."""
    told = [short(tick) for tick in ticks]
    if gathered:
        told[-1] = f"≥ {told[-1]}"
    cases = "".join(f"abs(datum.value - {tick!r}) < 1e-9 ? '{word}' : " for tick, word in zip(ticks, told, strict=True))
    return f"{cases}''"


def _with(mark: float | None, low: float, high: float) -> list[float]:
    """The ends of an axis, a little further where the mark is near."""
    near = mark is not None and low - (high - low) / 2 <= mark <= high + (high - low) / 2
    return [min(low, mark), max(high, mark)] if near and mark is not None else [low, high]


def _span(found: Bins, place: int) -> str:
    if found.gathered and place == len(found.counts) - 1:
        return f"≥ {short(found.edge(place))}"
    return f"{short(found.edge(place))} – {short(found.edge(place + 1))}"


def _ends(values: list[Any]) -> list[float]:
    low, high = min(values), max(values)
    return [low, high] if low < high else [low - 0.5, high + 0.5]
