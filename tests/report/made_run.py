"""A run of some size on real sentences, so that every part of the page has something to show."""

import random
from pathlib import Path

import polars as pl

from kun.project import Project
from kun.schemas.corpus import PERPLEXITY
from kun.schemas.pairs import JUDGED, POLISHED
from kun.schemas.rejects import REJECT
from kun.schemas.select import LOSSES, SELECTED
from kun.tables.ledger import close_stage
from kun.tables.shards import write_dataset, write_json, write_text
from kun.votes.shown import Shown, load_shown
from kun.votes.store import append, votes_folder
from kun.votes.vote import Kind, Vote
from tests.made import prose, texts

ROWS = 60
EVIL = "<script>alert(1)</script> 完了 </script><!-- <b>"
SOURCES = ("encyclopedia", "forum", "essays/tea", "howto")


def made_run(root: Path) -> Project:
    """ROWS texts; a quarter leaves at clean and dedup; one pair and one dropped row are full of markup."""
    project, rng = Project(root), random.Random(0)
    rows = texts(prose(ROWS)).with_columns(
        source=pl.Series([SOURCES[place % len(SOURCES)] for place in range(ROWS)]),
    )
    close_stage(project, "ingest", "ingested", ROWS, rows, [])
    spoilt = _rejects(rows.head(8), "clean", ["too_short", "spam"], "3", "<= 2")
    spoilt = spoilt.with_columns(
        excerpt=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(EVIL)).otherwise(pl.col("excerpt"))
    )
    close_stage(project, "clean", "cleaned", ROWS, rows.slice(8), [spoilt])
    kept = rows.slice(15)
    twins = _rejects(rows.slice(8, 7), "dedup", ["near_duplicate"], f"jaccard 0.912 with {kept['id'][0]}", "0.5")
    close_stage(project, "dedup", "deduped", ROWS - 8, kept, [twins])
    close_stage(project, "corpus", "corpus", kept.height, kept, [])
    pairs = _pairs(kept, rng)
    close_stage(project, "pairs", "pairs", pairs.height, pairs, [])
    close_stage(project, "mix", "mixed", pairs.height, pairs, [])
    close_stage(project, "select", "selected", pairs.height, pairs, [])
    _write_scores(project, kept["id"].to_list(), rng)
    _write_reports(project)
    _write_votes(project, pairs["id"].to_list(), spoilt["id"].to_list())
    return project


def _rejects(rows: pl.DataFrame, stage: str, reasons: list[str], value: str, threshold: str) -> pl.DataFrame:
    return rows.select(
        "id",
        stage=pl.lit(stage),
        status=pl.lit("dropped"),
        reason=pl.Series([reasons[place % len(reasons)] for place in range(rows.height)]),
        value=pl.lit(value),
        threshold=pl.lit(threshold),
        source="source",
        excerpt=pl.col("text").str.head(200),
    ).select(list(REJECT))


def _pairs(kept: pl.DataFrame, rng: random.Random) -> pl.DataFrame:
    first = pl.int_range(pl.len()) == 0
    columns = {
        name: [rng.random() for _ in range(kept.height)] for name in ("p_good", "copy_rate", "support", "ifd_ppl")
    }
    empty = {name: pl.lit(None, kind) for name, kind in SELECTED.items() if name not in columns}
    known = {
        "id": pl.col("id"),
        "instruction": pl.format("请说明：{}", pl.col("text").str.head(18)),
        "input": pl.when(first).then(pl.lit(EVIL)).otherwise(pl.lit("")),
        "output": pl.when(first).then(pl.lit(EVIL)).otherwise(pl.col("text")),
        "source": pl.col("source"),
        "method": pl.lit("kun"),
        "licence": pl.lit("CC0-1.0"),
        "rank": pl.int_range(1, pl.len() + 1),
    }
    made = kept.select(**(empty | known)).with_columns(pl.Series(name, values) for name, values in columns.items())
    return made.select(pl.col(name).cast(kind) for name, kind in SELECTED.items())


def _write_scores(project: Project, ids: list[str], rng: random.Random) -> None:
    tables = {
        "judged": (JUDGED, [(id, rng.random(), "good", rng.random(), "") for id in ids]),
        "polished": (POLISHED, [(id, "答", "stop", 3, False, rng.random(), rng.random(), 1.0) for id in ids]),
        "perplexity": (PERPLEXITY, [(id, 9, 3.0, rng.lognormvariate(4, 1)) for id in ids]),
    }
    for name, (schema, rows) in tables.items():
        write_dataset(project.dataset(name), pl.DataFrame(rows, schema=schema, orient="row"), schema)
    losses = pl.DataFrame({"id": ids, "n_answer": 30, "s_cond": [rng.uniform(1, 3) for _ in ids], "s_direct": 2.5})
    empty = [pl.lit(None, kind).alias(name) for name, kind in LOSSES.items() if name not in losses.columns]
    write_dataset(project.dataset("losses"), losses.with_columns(empty), LOSSES)


def _write_votes(project: Project, pairs: list[str], dropped: list[str]) -> None:
    """Of three people, who mostly say what the judge says; one reads what clean dropped; one vote is stale."""
    shown = load_shown(project, [*pairs, *dropped])
    for place, name in enumerate(pairs[:24]):
        for reviewer, doubts in (("anna", 5), ("li.wei", 7)):
            well = ((shown[name].p_good or 0) > 0.45) != (place % doubts == 0)
            _vote(project, shown[name], "keep" if well else "drop", reviewer)
    for place, name in enumerate(dropped):
        _vote(project, shown[name], "drop" if place % 3 else "keep", "王芳")
    append(
        votes_folder(project), Vote(pairs[1], "mixed", "edit", "王芳", shown[pairs[1]].seen, {"output": "改过的回答。"})
    )
    append(votes_folder(project), Vote(pairs[2], "mixed", "keep", "王芳", "another text"))


def _vote(project: Project, record: Shown, verdict: Kind, reviewer: str) -> None:
    append(votes_folder(project), Vote(record.id, record.dataset, verdict, reviewer, record.seen))


def _write_reports(project: Project) -> None:
    reports = project.root / "reports"
    curve = [{"threshold": at / 20, "recall": 1 - at / 20, "false_rate": (1 - at / 20) ** 3} for at in range(21)]
    judge = {"auc": 0.9, "auc_low": 0.85, "auc_high": 0.95, "curve": curve}
    write_json(reports / "evaluate.json", {"judge": {"rows": 20, "trained": judge, "zero_shot": judge | {"auc": 0.7}}})
    for name in ("label", "chat"):
        write_json(reports / "train" / f"{name}.json", {"best_epoch": 1, "history": []})
        steps = "".join(f"{step}\t{3 - step / 50}\n" for step in range(1, 41))
        write_text(reports / "train" / name / "plots/metrics/train_loss.tsv", f"step\ttrain_loss\n{steps}")
        write_text(reports / "train" / name / "plots/metrics/heldout_loss.tsv", "step\theldout_loss\n40\t2.4\n")
    for stage in ("perplexity", "label", "judge"):
        figures = {
            "stage": stage,
            "rows": 45,
            "seconds": 12.5,
            "tokens_in_per_second": 900.0,
            "cost": 0.0,
            "device": "cpu",
        }
        write_json(project.work(stage), figures)
    for dataset in ("cleaned", "pairs"):
        gate = {"dataset": dataset, "success": dataset == "pairs", "failed": 1, "skipped": 0, "expectations": [{}]}
        write_json(project.check(dataset), gate)
        write_text(project.check(dataset).with_suffix(".html"), "<!doctype html><title>gate</title>")
