"""The report of a run: a page in each language that needs no network, pictures and tables for DVC, and metrics.json."""

from pathlib import Path

import polars as pl

import kun
from kun.params import Params
from kun.project import Project
from kun.release.files import render, replaced_folder
from kun.report import draw
from kun.report.bins import fixed_bins
from kun.report.findings import COVERAGE, LENGTH_STEPS, SCORE_STEPS, Findings, findings
from kun.report.pictures import Picture, pictures
from kun.report.records import Row, as_json, dropped_rows, released_rows
from kun.report.style import STYLE, policy_hash, style
from kun.report.tables import dropped_table, released_table
from kun.report.words import PAGES, stage_names
from kun.report.work import COLUMNS, spent
from kun.tables.shards import shards, write_json, write_text

PARTS = Path(__file__).with_name("page")
SOURCES = 40
"""Sources with a row in the tables; reports/quality.json has all."""


def report(project: Project, params: Params) -> dict[str, float]:
    """Write reports/index*.html, reports/plots/, reports/quality.json and metrics.json from whatever has run.

    Only data/selected must be there, and it may be empty. Returns the metrics. The same data and work give the same bytes.
    """
    shards(project.dataset("selected"))  # says what is missing before anything is computed
    found = findings(project, params)
    released, dropped = released_rows(project), dropped_rows(project)
    drawn = {page: pictures(found, words) for page, words in PAGES.items()}
    for page, words in PAGES.items():
        tables = {"released": released_table(released, words), "dropped": dropped_table(dropped, words)}
        write_text(project.root / "reports" / page, _page(found, page, drawn[page], tables, params.release.name))
    with replaced_folder(project.root / "reports" / "plots") as folder:
        _write_plots(found, drawn["index.html"], folder)
    write_json(project.root / "reports" / "quality.json", found.quality)
    write_json(project.root / "metrics.json", found.metrics)
    return found.metrics


def _page(found: Findings, page: str, drawn: dict[str, Picture], tables: dict[str, Row], name: str) -> str:
    words = PAGES[page]
    look, script = style(STYLE), (PARTS / "page.js").read_text(encoding="utf-8")
    largest = sorted(found.quality, key=lambda source: (-found.quality[source]["rows_in"], source))[:SOURCES]
    return render(
        PARTS / "page.html.j2",
        t=words,
        found=found,
        stages=stage_names(words),
        pictures=drawn,
        tables={name: as_json(table) for name, table in tables.items() if table["rows"]},
        sources=found.sources.filter(pl.col("source").is_in(largest)).rows(),
        quality={source: found.quality[source] for source in sorted(largest)},
        unseen=len(found.quality) - len(largest),
        spent=spent(found.work),
        work_columns=COLUMNS,
        coverage=COVERAGE[words["lang"]],
        name=name,
        other=next(other for other in PAGES if other != page),
        version=kun.__version__,
        style=look,
        script=script,
        style_hash=policy_hash(look),
        script_hash=policy_hash(script),
    )


def _write_plots(found: Findings, drawn: dict[str, Picture], folder: Path) -> None:
    for name, picture in drawn.items():
        write_text(folder / f"{name}.svg", draw.alone(picture.drawn))
    found.funnel.select("stage", "kept").write_csv(folder / "funnel.csv")
    fixed_bins(found.distributions, LENGTH_STEPS, "kind").write_csv(folder / "lengths.csv")
    fixed_bins(found.distributions, SCORE_STEPS, "score").write_csv(folder / "scores.csv")
