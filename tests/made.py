"""Small projects with made tables, for tests of single stages."""

import itertools
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from kun.config import load_params
from kun.corpus.text import text_id
from kun.models import Base, pin_base, pin_teacher
from kun.params import Engine, Model
from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.schemas.datasets import DATASETS
from kun.schemas.pairs import SEED
from kun.tables.shards import read_dataset, write_dataset

ROOT = Path(__file__).parents[1]
_FILE = load_params(ROOT / "params.yaml")
PARAMS = replace(_FILE, judge=replace(_FILE.judge, calibrate=0.0, threshold=0.5, floor=0.3))
"""No evaluation has run in these projects; the demo's own thresholds may move without moving tests."""
FAKE = replace(PARAMS.engine, backend="fake")
HF = replace(PARAMS.engine, dtype="float32")


def changed(section: Any, **values: Any) -> Any:
    """A section of the parameters with other values."""
    return replace(section, **values)


def pinned(root: Path, base: Path) -> Project:
    """A project whose base model and teacher are the folder `base`."""
    project = Project(root)
    pin(project, base)
    return project


def pin(project: Project, base: Path) -> Base:
    params = Model(str(base), "main", "CC0-1.0")
    pinned = pin_base(project, params)
    pin_teacher(project, params)
    return pinned


def engine(backend: str = "fake", **values: Any) -> Engine:
    return replace(FAKE if backend == "fake" else HF, **values)


def prose(count: int, seed: int = 0) -> list[str]:
    """Chinese sentences from the seeds' outputs, mixed anew: no two are equal, all characters are known to the tiny model."""
    outputs = pl.read_ndjson(ROOT / "data/seed/seeds.jsonl")["output"].to_list()
    sentences = sorted({part + "。" for text in outputs for part in text.split("。") if 12 <= len(part) <= 60})
    rng = random.Random(seed)
    return [f"{number}，" + "".join(rng.sample(sentences, 3)) for number in range(count)]


def texts(rows: list[str], source: str = "made") -> pl.DataFrame:
    """A table in the CLEAN schema; ids are hashes of the row number."""
    return pl.DataFrame(
        {
            "id": [text_id(str(number)) for number in range(len(rows))],
            "text": rows,
            "source": source,
            "origin": [f"{source}.txt:{number + 1}" for number in range(len(rows))],
            "title": "",
            "lang": "zh",
            "n_chars": [len(text) for text in rows],
            "n_tokens": [len(text) for text in rows],
        },
        schema=CLEAN,
    )


def seeds(pairs: list[tuple[str, str]], heldout: int) -> pl.DataFrame:
    """A table in the SEED schema, the last `heldout` pairs held out."""
    train = len(pairs) - heldout
    return pl.DataFrame(
        {
            "id": [text_id(str(number)) for number in range(len(pairs))],
            "instruction": [instruction for instruction, _ in pairs],
            "input": "",
            "output": [output for _, output in pairs],
            "source": "made",
            "origin": [f"made.jsonl:{number + 1}" for number in range(len(pairs))],
            "split": ["train"] * train + ["heldout"] * heldout,
        },
        schema=SEED,
    )


def seed_pairs(count: int, longest: int = 60) -> list[tuple[str, str]]:
    """Real (instruction, output) pairs, the outputs cut to `longest` characters."""
    rows = pl.read_ndjson(ROOT / "data/seed/seeds.jsonl").head(count)
    return [(row["instruction"], row["output"][:longest]) for row in rows.iter_rows(named=True)]


def store(project: Project, dataset: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Write a dataset and return what a stage will read."""
    write_dataset(project.dataset(dataset), frame, DATASETS[dataset])
    return read_dataset(project.dataset(dataset))


def ledger(project: Project, stage: str) -> pl.DataFrame:
    return read_dataset(project.rejects(stage))


def reasons(project: Project, stage: str) -> dict[str, str]:
    """Id of each rejected row -> reason."""
    return dict(ledger(project, stage).select("id", "reason").iter_rows())


def assert_conserved(project: Project, stage: str, dataset: str, ids_in: list[str], counts: dict[str, Any]) -> None:
    """Every id that came in is kept or rejected with a reason, none twice, none new; the counts say the same."""
    kept, rejected = read_dataset(project.dataset(dataset)), ledger(project, stage)
    assert sorted(itertools.chain(kept["id"], rejected["id"])) == sorted(ids_in)
    assert counts["rows_in"] == len(ids_in) == counts["kept"] + counts["dropped"] + counts["failed"]
    assert counts["kept"] == kept.height
    assert sum(counts["reasons"].values()) == rejected.height
    assert rejected.filter((pl.col("reason") == "") | (pl.col("stage") != stage)).is_empty()
    assert kept.schema == pl.Schema(DATASETS[dataset])
