"""Which pictures the pages have, and what stands below each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from kun.release.files import count, share
from kun.report.bins import bins, short
from kun.report.charts import Bar, Line, Part, bars, histogram, lines
from kun.report.draw import SERIES, svg
from kun.report.findings import LENGTH_STEPS, Findings
from kun.report.judge import Curves
from kun.report.words import Words, stage_names
from kun.terminal import display_width, printable

REASONS = 24
"""Reasons with a bar; the table below them has all."""
FIELDS = 30
NARROW = 17  # columns of a name beside a bar, wide characters counting two


@dataclass(frozen=True)
class Picture:
    """An SVG with its words."""

    title: str
    drawn: str
    note: str = ""
    legend: Sequence[tuple[str, str]] = field(default_factory=tuple)
    """(colour, what it stands for)."""


def pictures(found: Findings, words: Words) -> dict[str, Picture]:
    """Name -> picture: funnel, reasons, duplicates, the kinds of distributions, judge-*, training-*, work, coverage."""
    drawn: dict[str, Picture | None] = {"funnel": _funnel(found, words), "reasons": _reasons(found, words)}
    if found.duplicates is not None:
        drawn["duplicates"] = _histogram(found.duplicates.similarity, words["similarity"], "", None, words)
    for kind, values in found.distributions.items():
        unit = words["characters"] if kind in LENGTH_STEPS else ""
        drawn[kind] = _histogram(values, words[kind], unit, found.marks.get(kind), words)
    drawn |= _judges(found, words) if found.judges else {}
    drawn |= {f"training-{one['name']}": _training(one, words) for one in found.training if one["losses"]}
    drawn |= {"work": _work(found.work, words, "seconds"), "work-speed": _work(found.work, words, "speed")}
    drawn |= {"coverage": _coverage(found.coverage, words)}
    return {name: one for name, one in drawn.items() if one is not None}


def _funnel(found: Findings, words: Words) -> Picture | None:
    """Of each stage what stays, by source, and what leaves."""
    if not found.counts:
        return None
    sizes: dict[str, int] = {}
    for one in found.counts:
        for source, told in one["by_source"].items():
            sizes[source] = max(sizes.get(source, 0), told.get("kept", 0))
    top = sorted(sizes, key=lambda source: (-sizes[source], source))[: len(SERIES)]
    colours = dict(zip(top, SERIES, strict=False))
    names = stage_names(words)
    drawn = bars([_stage(one, names[one["stage"]], colours, words) for one in found.counts])
    legend = [(colour, source) for source, colour in colours.items()]
    legend += [("rest", words["others"])] if len(sizes) > len(top) else []
    title = words["funnel_by_source"]
    return Picture(title, svg(drawn, title), "", [*legend, ("pale", words["left"])])


def _stage(told: dict[str, Any], name: str, colours: dict[str, str], words: Words) -> Bar:
    kept = {source: told["by_source"].get(source, {}).get("kept", 0) for source in colours}
    pieces = [(source, colours[source], rows) for source, rows in kept.items() if rows]
    pieces.append((words["others"], "rest", told["kept"] - sum(kept.values())))
    pieces.append((words["left"], "pale", told["rows_in"] - told["kept"]))
    parts, at = [], 0
    for what, colour, rows in pieces:
        if rows > 0:
            parts.append(Part(at, at + rows, colour, printable(f"{name}, {what}: {rows:,}")))
            at += rows
    part = share(told["kept"] / told["rows_in"]) if told["rows_in"] else "–"
    return Bar(clipped(name), parts, f"{told['kept']:,} · {part}")


def _reasons(found: Findings, words: Words) -> Picture | None:
    if found.reasons.is_empty():
        return None
    names = stage_names(words)
    top = found.reasons.with_row_index().sort("rows", descending=True, maintain_order=True).head(REASONS).sort("index")
    drawn = []
    for (stage,), rows in top.group_by("stage", maintain_order=True):
        total = int(found.reasons.filter(pl.col("stage") == stage)["rows"].sum())
        name = names[str(stage)]
        drawn.append(Bar(clipped(name), [Part(0, total, "pale", f"{name}: {total:,}")], count(total)))
        drawn += [_reason(name, row) for row in rows.iter_rows(named=True)]
    title = words["reasons_by_stage"]
    return Picture(title, svg(bars(drawn), title))


def _reason(stage: str, row: dict[str, Any]) -> Bar:
    name = row["reason"] or "–"
    return Bar(clipped(name), [Part(0, row["rows"], "one", f"{stage}, {name}: {row['rows']:,}")], count(row["rows"]))


def _histogram(values: pl.Series, title: str, unit: str, mark: float | None, words: Words) -> Picture | None:
    found = bins(values)
    if found is None:
        return None
    told = (
        words["summary"]
        .format(n=f"{found.n:,}", median=short(found.median), max=short(found.largest), unit=unit)
        .rstrip()
    )
    legend = [] if mark is None else [("mark", f"{words['threshold']} {mark:g}")]
    return Picture(title, svg(histogram(found, mark), title), told, legend)


def _judges(found: Findings, words: Words) -> dict[str, Picture | None]:
    """Precision and recall of the trained judge by threshold, its reliability, and the ROC of all judges."""
    first = next(iter(found.judges.values()))
    if not first.roc:
        return {}
    title = words["judge_thresholds"]
    unit = (0.0, 1.0)
    both = [Line(words["precision"], first.precision), Line(words["recall"], first.recall)]
    mark = found.marks["p_good"]
    keys = [*zip(SERIES, (line.name for line in both), strict=False), ("mark", f"{words['threshold']} {mark:g}")]
    curves = [Line(words[f"judge_{name}"], one.roc) for name, one in found.judges.items()]
    named = [f"{words[f'judge_{name}']}: {_auc(one)}" for name, one in found.judges.items()]
    reliable = words["judge_reliability"]
    own = Line(words["judge_trained"], first.reliability, dots=True)
    return {
        "judge-thresholds": Picture(
            title, svg(lines(both, unit, unit, mark), title), words["judge_thresholds_note"], keys
        ),
        "judge-reliability": Picture(
            reliable, svg(lines([own], unit, unit, diagonal=True), reliable), words["judge_reliability_note"]
        ),
        "judge-roc": Picture(
            words["judge_roc"],
            svg(lines(curves, unit, unit, diagonal=True), words["judge_roc"]),
            words["judge_roc_note"],
            list(zip(SERIES, named, strict=False)),
        ),
    }


def _auc(one: Curves) -> str:
    if one.auc is None:
        return "AUC –"
    interval = "" if one.low is None or one.high is None else f" ({one.low:.2f}–{one.high:.2f})"
    return f"AUC {one.auc:.3f}{interval}"


def _training(adapter: dict[str, Any], words: Words) -> Picture:
    title = f"{words['curves']}: {adapter['name']}"
    drawn = [Line(words[name], points, dots=len(points) < 12) for name, points in adapter["losses"].items()]
    return Picture(
        title,
        svg(lines(drawn), title),
        words[f"by_{adapter['unit']}"],
        list(zip(SERIES, (line.name for line in drawn), strict=False)),
    )


def _work(found: list[dict[str, Any]], words: Words, what: str) -> Picture | None:
    """Seconds of each stage, or its tokens a second, read and written."""
    colour, asked = {
        "seconds": ("one", ("seconds",)),
        "speed": ("three", ("tokens_in_per_second", "tokens_out_per_second")),
    }[what]
    drawn = []
    for row in found:
        figures = [row["figures"].get(name) for name in asked]
        known = [one for one in figures if isinstance(one, int | float)]
        if sum(known) > 0:
            told = short(sum(known))
            drawn.append(Bar(clipped(row["stage"]), [Part(0, sum(known), colour, f"{row['stage']}: {told}")], told))
    title = words[f"work_{what}"]
    return Picture(title, svg(bars(drawn), title)) if drawn else None


def _coverage(table: pl.DataFrame | None, words: Words) -> Picture | None:
    """Pairs of each field of knowledge."""
    if table is None:
        return None
    fields = table.filter(pl.col("kind") == "field").head(FIELDS)
    name = "zh" if words["lang"].startswith("zh") else "en"
    drawn = [
        Bar(
            clipped(row[name]),
            [Part(0, row["pairs"], "three", printable(f"{row[name]}: {row['pairs']:,}"))],
            count(row["pairs"]),
        )
        for row in fields.iter_rows(named=True)
    ]
    return Picture(words["coverage_pairs"], svg(bars(drawn), words["coverage_pairs"])) if drawn else None


def clipped(name: str, most: int = NARROW) -> str:
    """A name that fits beside a bar, by columns of a terminal: letters of any script have about that width."""
    told = printable(name)
    while display_width(told) > most:
        told = told.removesuffix("…")[:-1] + "…"
    return told
