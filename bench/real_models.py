"""The trained models of this project on texts and seeds of others: what labelling, judging and polishing cost.

`python bench/real_models.py RAW SEEDS [--texts 600] [--seeds 2000]`, in the project's folder after `make run`: RAW is a folder
for `ingest`, SEEDS a file of pairs. Everything is written under .bench/real; a second call takes finished rows from there.
"""

import argparse
import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from kun.backtranslate.instructions import instructions
from kun.backtranslate.judge import judge
from kun.backtranslate.label import label
from kun.backtranslate.polish import polish
from kun.config import load_params
from kun.corpus.clean import TokenCounter, clean
from kun.corpus.dedup import dedup
from kun.corpus.evals import EvalGrams
from kun.corpus.ingest import ingest
from kun.corpus.text import text_id
from kun.models import count_tokens, read_base
from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.schemas.pairs import INSTRUCTION
from kun.tables.shards import read_dataset, write_dataset

HOME = Path(".bench/real")


def project(name: str, here: Project) -> Project:
    """An empty project with the models of this one."""
    root = HOME / name
    root.mkdir(parents=True, exist_ok=True)
    if not (root / "models").exists():
        (root / "models").symlink_to((here.root / "models").resolve())
        (root / "reports").mkdir(exist_ok=True)
        (root / "reports/evaluate.json").symlink_to((here.root / "reports/evaluate.json").resolve())
    return Project(root)


def main() -> None:
    """Texts through label, instructions, judge and polish; then the instructions of the seeds through the judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path)
    parser.add_argument("seeds", type=Path)
    parser.add_argument("--texts", type=int, default=600)
    parser.add_argument("--seeds-limit", type=int, default=2000)
    asked = parser.parse_args()
    params, here = load_params(), Project()
    os.environ["KUN_SCRATCH"] = str((HOME / "scratch").resolve())
    (HOME / "scratch").mkdir(parents=True, exist_ok=True)
    if not (HOME / "scratch/models").exists():
        (HOME / "scratch/models").symlink_to((here.root / ".kun/models").resolve())
    all_rows = replace(params.judge, floor=0.0, threshold=0.0)
    texts = project("texts", here)
    ingest(texts, replace(params.ingest, path=str(asked.raw.resolve()), limit_per_file=asked.texts // 5))
    base = read_base(here).fingerprint
    unsafe = str((here.root / params.clean.unsafe_words).resolve())
    clean(
        texts,
        replace(params.clean, unsafe_words=unsafe),
        TokenCounter(partial(count_tokens, texts.root.resolve(), base), base),
    )
    dedup(texts, params.dedup)
    chosen = read_dataset(texts.dataset("deduped")).sort("id").head(asked.texts)
    write_dataset(texts.dataset("corpus"), chosen, CLEAN)
    tell(texts, "label", label(texts, params.label, params.engine))
    counts = instructions(texts, params.instructions, EvalGrams([], params.decontaminate.ngram))
    print(f"instructions: {counts['rows_in']} in, {counts['kept']} kept", file=sys.stderr)
    tell(texts, "judge", judge(texts, all_rows, params.engine))
    tell(texts, "polish", polish(texts, params.polish, all_rows, params.engine))
    seeds = project("seeds", here)
    store_seeds(seeds, asked.seeds, asked.seeds_limit)
    tell(seeds, "judge", judge(seeds, all_rows, params.engine))


def store_seeds(seeds: Project, file: Path, limit: int) -> None:
    """data/corpus and data/instructions from pairs that people wrote."""
    pairs = pl.read_ndjson(file, infer_schema_length=None).head(limit)
    ids = [text_id(instruction + output) for instruction, output in pairs.select("instruction", "output").iter_rows()]
    rows = pairs.select("instruction", text="output").with_columns(
        id=pl.Series(ids), source=pl.lit("seeds"), origin=pl.lit(""), title=pl.lit(""), lang=pl.lit("zh"),
        n_chars=pl.col("text").str.len_chars().cast(pl.Int64), n_tokens=pl.lit(0, pl.Int64),
    ).unique("id", maintain_order=True)  # fmt: skip
    write_dataset(seeds.dataset("corpus"), rows.select(*CLEAN), CLEAN)
    write_dataset(seeds.dataset("instructions"), rows.select(*INSTRUCTION), INSTRUCTION)


def tell(done: Project, stage: str, counts: object) -> None:
    """The stage's own figures, one JSON line."""
    work = json.loads((done.root / f"reports/work/{stage}.json").read_text())
    print(json.dumps({"project": done.root.name, **work}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
