"""The report of a run: two pages that need no network, pictures and tables for DVC, and metrics.json."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

import kun
from kun.params import Params
from kun.project import Project
from kun.release import facts
from kun.release.files import render, replaced_folder
from kun.release.funnel import STAGES, funnel_frame, read_counts, source_frame
from kun.release.labels import ENGLISH, PAGES, Labels, stage_names
from kun.release.plots import curves_svg, funnel_svg, histogram_svg
from kun.release.quality import Quality, quality
from kun.release.scores import agreements, by_length, distributions, ends
from kun.release.work import COLUMNS, model_work
from kun.schemas import LOSSES
from kun.select.scores import with_scores
from kun.tables.shards import read_dataset, shards, write_json, write_text

SAMPLES = 20
SHOWN = "ifd_ppl"  # of the scores of losses, the one with pictures and examples
SAMPLE_SEED = 7
TOP_REASONS = 5
EXAMPLES = 3
LENGTH_STEPS = {"text_chars": 50, "instruction_chars": 5, "answer_chars": 25}
SCORE_STEPS = {"p_good": 0.05, "copy_rate": 0.05, "support": 0.05, "ppl": 10.0, "ifd_ppl": 0.05}
"""Bin widths of the CSV files: fixed, unlike in the pictures, so that `dvc plots diff` compares like with like."""


@dataclass(frozen=True)
class Findings:
    """All that the pages show, read once and the same in every language."""

    pairs: pl.DataFrame
    metrics: dict[str, float]
    funnel: pl.DataFrame
    sources: pl.DataFrame
    quality: dict[str, Quality]
    """Source -> what its texts are worth."""
    distributions: dict[str, pl.Series]
    """Kind (a key of LENGTH_STEPS or SCORE_STEPS) -> values; only kinds whose dataset is there."""
    marks: dict[str, float]
    """Kind -> threshold."""
    training: list[facts.Facts]
    scored: pl.DataFrame | None
    """The pairs before the selection with the scores of their losses; None when none was scored."""


def report(project: Project, params: Params) -> dict[str, float]:
    """Write reports/report*.html, reports/plots/, reports/quality.json and metrics.json from whatever has run.

    Only data/selected must be there. Returns the metrics. The same data and work give the same bytes.
    """
    found = _findings(project, params)
    values = {
        "found": found,
        "sources": found.sources.rows(),
        "reasons": _reasons(project),
        "samples": _samples(project, found.pairs),
        "scores": _scores(found.scored),
        "gates": facts.gates(project, params.mix.sources.values()),
        "base": facts.base_model(project),
        "evaluation": facts.evaluation(project),
        "work": model_work(project),
        "work_columns": COLUMNS,
        "name": params.release.name,
        "version": kun.__version__,
    }
    for page, labels in PAGES.items():
        other = next(name for name in PAGES if name != page)
        in_words = {"t": labels, "stages": stage_names(labels), "pictures": _pictures(found, labels), "other": other}
        text = render("report.html.j2", **in_words, **values)
        write_text(project.root / "reports" / page, text)
    with replaced_folder(project.root / "reports" / "plots") as folder:
        _write_plots(found, folder)
    write_json(project.root / "reports" / "quality.json", found.quality)
    write_json(project.root / "metrics.json", found.metrics)
    return found.metrics


def _findings(project: Project, params: Params) -> Findings:
    pairs = read_dataset(project.dataset("selected"))
    counts = read_counts(project)
    scored = _scored(project)
    return Findings(
        pairs=pairs,
        metrics=_metrics(project, pairs),
        funnel=funnel_frame(counts),
        sources=source_frame(counts),
        quality=quality(counts),
        distributions=_distributions(project, pairs, scored),
        marks={"p_good": params.judge.threshold, "support": params.pairs.min_support, "ifd_ppl": 1.0},
        training=facts.training(project),
        scored=scored,
    )


def _scored(project: Project) -> pl.DataFrame | None:
    losses = facts.optional_dataset(project, "losses", list(LOSSES))
    if losses is None or losses["s_cond"].null_count() == losses.height:
        return None
    return read_dataset(project.dataset("mixed")).join(with_scores(losses), on="id", maintain_order="left")


def _scores(scored: pl.DataFrame | None) -> dict[str, Any] | None:
    """The tables of the page about scores."""
    if scored is None:
        return None
    return {
        "distributions": distributions(scored),
        "by_length": by_length(scored, SHOWN),
        "agreements": agreements(scored),
        "ends": ends(scored, SHOWN),
    }


def _metrics(project: Project, pairs: pl.DataFrame) -> dict[str, float]:
    """The numbers of metrics.json; one that cannot be known is left out."""
    metrics: dict[str, float] = {"pairs": pairs.height}
    ingested = facts.optional_dataset(project, "ingested", ["id"])
    if ingested is not None and ingested.height:
        metrics["yield"] = round(pairs.height / ingested.height, 4)
    return metrics | {f"{name}_mean": round(mean, 4) for name, mean in facts.means(project, pairs).items()}


def _distributions(project: Project, pairs: pl.DataFrame, scored: pl.DataFrame | None) -> dict[str, pl.Series]:
    columns = {
        "text_chars": ("ingested", "n_chars"),
        "p_good": ("judged", "p_good"),
        "copy_rate": ("polished", "copy_rate"),
        "support": ("polished", "support"),
        "ppl": ("perplexity", "ppl"),
    }
    stored = {
        kind: frame[column]
        for kind, (dataset, column) in columns.items()
        if (frame := facts.optional_dataset(project, dataset, [column])) is not None
    }
    lengths = {
        "instruction_chars": pairs["instruction"].str.len_chars(),
        "answer_chars": pairs["output"].str.len_chars(),
    }
    found = stored | lengths | ({} if scored is None else {SHOWN: scored[SHOWN]})
    return {kind: found[kind].drop_nulls() for kind in (*LENGTH_STEPS, *SCORE_STEPS) if kind in found}


def _reasons(project: Project) -> list[dict[str, Any]]:
    """For each stage with rejects, its most frequent reasons with a few examples each, and the number of the others."""
    found = []
    for stage in STAGES:
        if not project.rejects(stage).is_dir():
            continue
        rejects = pl.scan_parquet(shards(project.rejects(stage)))
        tally = (
            rejects.group_by("status", "reason")
            .len("rows")
            .collect()
            .sort(["rows", "status", "reason"], descending=[True, False, False])
        )
        if tally.is_empty():
            continue
        top = [
            row | {"examples": _examples(rejects, row["status"], row["reason"])}
            for row in tally.head(TOP_REASONS).iter_rows(named=True)
        ]
        rest = tally.slice(TOP_REASONS)
        found.append({"stage": stage, "rows": tally["rows"].sum(), "top": top, "more": rest.rows(named=True)})
    return found


def _examples(rejects: pl.LazyFrame, status: str, reason: str) -> list[dict[str, Any]]:
    chosen = rejects.filter(pl.col("status") == status, pl.col("reason").eq_missing(pl.lit(reason))).head(EXAMPLES)
    return chosen.select("id", "source", "value", "threshold", "excerpt").collect().rows(named=True)


def _samples(project: Project, pairs: pl.DataFrame) -> list[dict[str, Any]]:
    """Pairs of a seeded draw, each with `text`: the raw text as the model read it, None when it is not at hand."""
    chosen = random.Random(SAMPLE_SEED).sample(range(pairs.height), min(SAMPLES, pairs.height))
    drawn = pairs[chosen]
    texts: dict[str, str] = {}
    for dataset in ("corpus", "ingested"):  # corpus first: there private data is masked and the script converted
        if project.dataset(dataset).is_dir():
            scan = pl.scan_parquet(shards(project.dataset(dataset)))
            rows = scan.filter(pl.col("id").is_in(drawn["id"].to_list())).select("id", "text").collect()
            texts = dict(rows.iter_rows()) | texts
    return [row | {"text": texts.get(row["id"])} for row in drawn.iter_rows(named=True)]


def _pictures(found: Findings, labels: Labels) -> dict[str, str]:
    """Name -> SVG, its texts escaped, in the order of the page: funnel, distributions, training-<adapter>."""
    pictures = {"funnel": funnel_svg(found.funnel, names=stage_names(labels))} if found.funnel.height else {}
    for kind, values in found.distributions.items():
        unit = labels["characters"] if kind in LENGTH_STEPS else labels["no_unit"]
        mark = (found.marks[kind], f"{labels['threshold']} {found.marks[kind]:g}") if kind in found.marks else None
        pictures[kind] = histogram_svg(values, labels[kind], unit, mark=mark, summary=labels["summary"])
    for adapter in found.training:
        curves = {labels[name]: _curve(adapter["history"], name) for name in ("train_loss", "heldout_loss")}
        drawn = {name: points for name, points in curves.items() if points}
        if drawn:
            pictures[f"training-{adapter['name']}"] = curves_svg(drawn, f"{labels['curves']}: {adapter['name']}")
    return pictures


def _curve(history: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(epoch["epoch"], epoch[name]) for epoch in history if epoch.get(name) is not None]


def _write_plots(found: Findings, folder: Path) -> None:
    for name, svg in _pictures(found, ENGLISH).items():
        write_text(folder / f"{name}.svg", svg)
    found.funnel.select("stage", "kept").write_csv(folder / "funnel.csv")
    _binned(found.distributions, LENGTH_STEPS, "kind").write_csv(folder / "lengths.csv")
    _binned(found.distributions, SCORE_STEPS, "score").write_csv(folder / "scores.csv")


def _binned(distributions: Mapping[str, pl.Series], steps: Mapping[str, float], column: str) -> pl.DataFrame:
    """Columns `column`, bin (its lower edge), count."""
    tables = [pl.DataFrame(schema={column: pl.String, "bin": pl.Float64, "count": pl.UInt32})]
    for kind, step in steps.items():
        values = distributions.get(kind, pl.Series(dtype=pl.Float64)).cast(pl.Float64)
        places = (values.filter(values.is_finite()) / step + 1e-9).floor()  # 0.15 / 0.05 is a little less than 3
        tally = places.alias("place").to_frame().group_by("place").len("count").sort("place")
        tables.append(
            tally.select(pl.lit(kind).alias(column), (pl.col("place") * step).round(4).alias("bin"), pl.col("count"))
        )
    return pl.concat(tables)
