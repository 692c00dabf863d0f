"""Small pictures as SVG text, as files of their own or inline in a page; they follow light and dark.

Every text is escaped. Coordinates have one decimal, so equal data gives equal bytes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

import polars as pl

WIDTH = 640
SUMMARY = "n = {n} · median {median} · max {max} {unit}"
FONT = "system-ui, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"


def _colours(ink: str, quiet: str, line: str, fill: str, pale: str, mark: str) -> str:
    """Rules without CSS variables, which viewers other than browsers do not know."""
    return f""".kun-plot text {{ fill: {ink}; }} .kun-plot .quiet {{ fill: {quiet}; }}
.kun-plot .fill {{ fill: {fill}; }} .kun-plot .pale {{ fill: {pale}; }}
.kun-plot .mark-text, .kun-plot .second-fill {{ fill: {mark}; }}
.kun-plot .axis {{ stroke: {line}; }} .kun-plot .mark, .kun-plot .second {{ stroke: {mark}; }}
.kun-plot .first {{ stroke: {fill}; }}"""


STYLE = f"""<style>
.kun-plot {{ font: 12px {FONT}; }}
.kun-plot .title {{ font-size: 13px; font-weight: 600; }}
.kun-plot .mark {{ stroke-dasharray: 4 3; }}
.kun-plot polyline {{ fill: none; stroke-width: 2; }}
{_colours("#1f2a37", "#667085", "#d5dae1", "#2f6f9f", "#cfe0ec", "#b4472e")}
@media (prefers-color-scheme: dark) {{
{_colours("#e6e9ee", "#98a2b3", "#3a424e", "#6fb1de", "#2b4253", "#f08a6c")}
}}
</style>"""


def funnel_svg(frame: pl.DataFrame, title: str = "", names: Mapping[str, str] | None = None) -> str:
    """One bar a stage: kept rows on top of the rows that came in, both to the scale of the largest stage.

    `frame` has `stage`, `rows_in`, `kept`; `names` renames stages.
    """
    left, right, step, top = 130, 130, 26, 34 if title else 8
    largest = max([1, *frame["rows_in"], *frame["kept"]])
    scale = (WIDTH - left - right) / largest
    parts = [_text(0, 16, title, "title")] if title else []
    for row, (stage, rows_in, kept) in enumerate(frame.select("stage", "rows_in", "kept").iter_rows()):
        y = top + row * step
        name = (names or {}).get(stage, stage)
        kept_share = f"{kept / rows_in:.1%}" if rows_in else "–"
        parts += [
            _text(left - 10, y + 14, name, anchor="end"),
            _bar(left, y, rows_in * scale, 18, "pale", f"{name}: {rows_in:,} in"),
            _bar(left, y, kept * scale, 18, "fill", f"{name}: {kept:,} kept"),
            _text(left + max(rows_in, kept) * scale + 8, y + 14, f"{kept:,} · {kept_share}", "quiet"),
        ]
    return _svg(top + frame.height * step, title, parts)


def histogram_svg(
    values: Iterable[float | None],
    title: str,
    unit: str,
    bins: int = 24,
    mark: tuple[float, str] | None = None,
    summary: str = SUMMARY,
) -> str:
    """Distribution in at most `bins` bars of a round width; n counts the finite values, all others are left out.

    A long right tail is gathered in the last bar, labelled with ≥. `mark` is a value to draw a line at, with its label;
    `summary` says `n`, `median`, `max` and `unit` in the reader's language.
    """
    known = sorted(value for value in values if value is not None and math.isfinite(value))
    if not known:
        return _svg(60, title, [_text(0, 16, title, "title"), _text(0, 44, "n = 0", "quiet")])
    low, step, counts, gathered = _binned(known, bins)
    left, right, top, bottom = 24.0, WIDTH - 24.0, 50.0, 190.0
    wide, tall = (right - left) / len(counts), (bottom - top) / max(counts)
    parts = [_text(0, 16, title, "title"), _text(WIDTH, 16, _summary(known, unit, summary), "quiet", "end")]
    for index, count in enumerate(counts):
        start, last = low + index * step, gathered and index == len(counts) - 1
        span = f"≥ {_short(start)}" if last else f"{_short(start)} – {_short(start + step)}"
        height = count * tall
        parts.append(_bar(left + index * wide + 0.5, bottom - height, wide - 1, height, "fill", f"{span}: {count:,}"))
    parts.append(_line(left, bottom, right, bottom))
    every = max(1, math.ceil(len(counts) / 8))
    for index in range(0, len(counts) + 1 - (every if gathered else 0), every):
        parts.append(_text(left + index * wide, bottom + 16, _short(low + index * step), "quiet", "middle"))
    if gathered:
        parts.append(_text(WIDTH, bottom + 16, f"≥ {_short(low + (len(counts) - 1) * step)}", "quiet", "end"))
    if mark is not None and low <= mark[0] <= low + step * len(counts):
        x = left + (mark[0] - low) / step * wide
        parts += [_line(x, top - 10, x, bottom, "mark"), _text(*_beside(x, top - 4), mark[1], "mark-text", _side(x))]
    return _svg(214, title, parts)


def curves_svg(curves: Mapping[str, Sequence[tuple[float, float]]], title: str) -> str:
    """One or two lines of (x, y) points, from lowest to highest value."""
    points = [point for line in curves.values() for point in line]
    if not points:
        return _svg(60, title, [_text(0, 16, title, "title"), _text(0, 44, "n = 0", "quiet")])
    left, right, top, bottom = 60.0, WIDTH - 20.0, 40.0, 190.0
    xs, ys = sorted({x for x, _ in points}), sorted(y for _, y in points)
    across, up = (xs[-1] - xs[0]) or 1.0, (ys[-1] - ys[0]) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (x - xs[0]) / across * (right - left), bottom - (y - ys[0]) / up * (bottom - top)

    parts = [_text(0, 16, title, "title"), _line(left, bottom + 8, right, bottom + 8)]
    parts += [_text(left - 8, place(xs[0], y)[1] + 4, _short(y), "quiet", "end") for y in sorted({ys[0], ys[-1]})]
    every = math.ceil(len(xs) / 12)
    parts += [_text(place(x, ys[0])[0], bottom + 24, _short(x), "quiet", "middle") for x in xs[::every]]
    for number, (name, line) in enumerate(curves.items()):
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts.append(f'<polyline class="{"second" if number else "first"}" points="{way}"/>')
        parts += [_dot(*place(*point), number, f"{name}: {_short(point[1])}") for point in line]
        parts += [_dot(WIDTH - 230 + 120 * number, 12, number, name)]
        parts += [_text(WIDTH - 220 + 120 * number, 16, name, "quiet")]
    return _svg(220, title, parts)


def _binned(known: list[float], bins: int) -> tuple[float, float, list[int], bool]:
    """Lower edge, round width and counts of at most `bins` bars; whether the last one gathers a tail."""
    high = known[math.ceil(0.99 * len(known)) - 1]
    gathered = known[-1] - known[0] > 1.5 * (high - known[0]) > 0
    top = high if gathered else known[-1]
    step = _round_step((top - known[0]) / max(1, bins - 1), whole=all(value == int(value) for value in known))
    first = math.floor(known[0] / step + 1e-9)
    # Rounding first keeps 0.15 / 0.05 = 2.999... in the bar that starts at 0.15.
    places = [math.floor(value / step + 1e-9) - first for value in known]
    last = min(math.floor(top / step + 1e-9) - first, bins - 1)
    counts = [0] * (last + 1)
    for place in places:
        counts[min(place, last)] += 1
    return first * step, step, counts, gathered


def _round_step(least: float, whole: bool) -> float:
    """The smallest of 1, 2, 2.5 (unless `whole`), 5 times a power of ten that is at least `least`."""
    if whole:
        least = max(least, 1.0)
    if least <= 0:
        return 0.05
    power = 10.0 ** math.floor(math.log10(least))
    factors = (1.0, 2.0, 5.0, 10.0) if whole else (1.0, 2.0, 2.5, 5.0, 10.0)
    return next(factor * power for factor in factors if factor * power >= least * (1 - 1e-9))


def _summary(known: list[float], unit: str, summary: str) -> str:
    median = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2
    return summary.format(n=f"{len(known):,}", median=_short(median), max=_short(known[-1]), unit=unit).rstrip()


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 6):.4g}"


def _side(x: float) -> str:
    return "start" if x < WIDTH / 2 else "end"


def _beside(x: float, y: float) -> tuple[float, float]:
    return (x + 6 if x < WIDTH / 2 else x - 6), y


def _bar(x: float, y: float, width: float, height: float, kind: str, tip: str) -> str:
    box = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {box} rx="2"><title>{escape(tip)}</title></rect>'


def _dot(x: float, y: float, number: int, tip: str) -> str:
    kind = "second-fill" if number else "fill"
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{escape(tip)}</title></circle>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "axis") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str = "label", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    label = f' role="img" aria-label={quoteattr(title)}' if title else ""
    box = f'viewBox="0 0 {WIDTH} {height:.0f}" width="100%"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="kun-plot" {box}{label}>'
    return "\n".join([head, STYLE, *parts, "</svg>"]) + "\n"
