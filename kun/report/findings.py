"""All that the pages show, read once and the same in every language."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from kun.lazily import collected, rows_of, scan
from kun.params import Params
from kun.project import Project
from kun.release import facts
from kun.release.funnel import Counts, funnel_frame, read_counts, source_frame
from kun.report.duplicates import Duplicates, duplicates
from kun.report.judge import Curves, judges
from kun.report.quality import Quality, quality
from kun.report.records import cut_off, reasons
from kun.report.scores import agreements, by_length, distributions, ends
from kun.report.training import losses
from kun.report.work import model_work
from kun.select.scores import with_scores
from kun.votes.summary import THRESHOLDS, votes_summary

COVERAGE = {"en": "glan/coverage.html", "zh-CN": "glan/coverage.zh-CN.html"}
"""Language -> what the pipeline of GLAN writes for it, from reports/."""
SHOWN = "ifd_ppl"  # of the scores of losses, the one with pictures and examples
LENGTH_STEPS = {"text_chars": 50, "instruction_chars": 5, "answer_chars": 25}
SCORE_STEPS = {"p_good": 0.05, "copy_rate": 0.05, "support": 0.05, "ppl": 10.0, "ifd_ppl": 0.05}
"""Bin widths of the CSV files: fixed, unlike in the pictures, so that `dvc plots diff` compares like with like."""
COUNTED = ("id", "n_answer", "s_cond", "s_direct", "s_rcond", "s_rdirect")

Table = list[dict[str, Any]]


@dataclass(frozen=True)
class Findings:
    """Whatever has run; what has not is None or empty."""

    metrics: dict[str, float]
    counts: Counts
    funnel: pl.DataFrame
    sources: pl.DataFrame
    quality: dict[str, Quality]
    """Source -> what its texts are worth."""
    reasons: pl.DataFrame
    duplicates: Duplicates | None
    distributions: dict[str, pl.Series]
    """Kind (a key of LENGTH_STEPS or SCORE_STEPS) -> values; only kinds whose dataset is there."""
    marks: dict[str, float]
    """Kind -> threshold."""
    scores: dict[str, Any] | None
    """Tables about the pairs before the selection; None when none was scored."""
    judges: dict[str, Curves]
    evaluation: facts.Facts
    base: facts.Facts | None
    served: dict[str, str]
    """Of a server: the model's role, label or chat -> its name there."""
    training: list[facts.Facts]
    """Of each adapter `name`, `facts`, and `unit` and `losses` as kun/report/training.py gives them."""
    gates: list[facts.Facts]
    work: Table
    votes: dict[str, Any] | None
    """`votes_summary`, the judge's threshold among the others; None without a vote."""
    coverage: bool
    """Pairs of GLAN are in the mix, and its pipeline has written what it covers."""


def findings(project: Project, params: Params) -> Findings:
    """Read everything. Only data/selected must be there."""
    counts = read_counts(project)
    scored = _scored(project)
    return Findings(
        metrics=_metrics(project),
        counts=counts,
        funnel=funnel_frame(counts),
        sources=source_frame(counts),
        quality=quality(counts),
        reasons=reasons(project),
        duplicates=duplicates(project),
        distributions=_distributions(project, scored),
        marks={"p_good": params.judge.threshold, "support": params.pairs.min_support, "ifd_ppl": 1.0},
        scores=None if scored is None else _scores(project, scored),
        judges=judges(project.root),
        evaluation=facts.evaluation(project),
        base=facts.base_model(project),
        served=facts.served(params.engine),
        training=[one | losses(project, one) for one in facts.training(project)],
        gates=facts.gates(project, params.mix.sources.values()),
        work=model_work(project),
        votes=_votes(project, params),
        coverage=_coverage(project, params),
    )


def _metrics(project: Project) -> dict[str, float]:
    """The numbers of metrics.json; one that cannot be known is left out."""
    pairs = scan(project, "selected")
    assert pairs is not None
    rows = pairs.select(pl.len()).collect().item()
    metrics: dict[str, float] = {"pairs": rows}
    ingested = scan(project, "ingested")
    if ingested is not None and (texts := ingested.select(pl.len()).collect().item()):
        metrics["yield"] = round(rows / texts, 4)
    return metrics | {f"{name}_mean": round(mean, 4) for name, mean in facts.means(project, pairs).items()}


def _scored(project: Project) -> pl.DataFrame | None:
    """The pairs before the selection: id, source, p_good, n_output and the scores; None when none was scored."""
    losses = collected(project, "losses", *COUNTED)
    if losses is None or losses["s_cond"].null_count() == losses.height:
        return None
    lengths = pl.col("output").str.len_chars().alias("n_output")
    pairs = collected(project, "mixed", "id", "p_good", lengths)
    assert pairs is not None  # the losses are theirs
    return pairs.join(with_scores(losses), on="id", maintain_order="left")


def _scores(project: Project, scored: pl.DataFrame) -> dict[str, Any]:
    found = ends(scored, SHOWN)
    pairs = scan(project, "mixed")
    assert pairs is not None
    texts = rows_of(
        pairs.select("id", "instruction", "output", "source"), [row["id"] for rows in found.values() for row in rows]
    )
    shown = {
        name: [row | texts[row["id"]] | {"output": cut_off(str(texts[row["id"]]["output"]), 200)} for row in rows]
        for name, rows in found.items()
    }
    return {
        "distributions": distributions(scored),
        "by_length": by_length(scored, SHOWN),
        "agreements": agreements(scored),
        "ends": shown,
    }


def _distributions(project: Project, scored: pl.DataFrame | None) -> dict[str, pl.Series]:
    columns: Mapping[str, tuple[str, pl.Expr]] = {
        "text_chars": ("ingested", pl.col("n_chars")),
        "instruction_chars": ("selected", pl.col("instruction").str.len_chars()),
        "answer_chars": ("selected", pl.col("output").str.len_chars()),
        "p_good": ("judged", pl.col("p_good")),
        "copy_rate": ("polished", pl.col("copy_rate")),
        "support": ("polished", pl.col("support")),
        "ppl": ("perplexity", pl.col("ppl")),
    }
    stored = {
        kind: frame.to_series().drop_nulls()
        for kind, (dataset, column) in columns.items()
        if (frame := collected(project, dataset, column)) is not None
    }
    return stored | ({} if scored is None else {SHOWN: scored[SHOWN].drop_nulls()})


def _votes(project: Project, params: Params) -> dict[str, Any] | None:
    found = votes_summary(project, sorted({*THRESHOLDS, params.judge.threshold}))
    return found if found["votes"] else None


def _coverage(project: Project, params: Params) -> bool:
    """As of gates' pages, only whether there is one: its figures are those of a pipeline on which this one cannot depend."""
    mixed = any(source.pairs.rstrip("/").endswith("glan/pairs") for source in params.mix.sources.values())
    return mixed and all((project.root / "reports" / page).is_file() for page in COVERAGE.values())
