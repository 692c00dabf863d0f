"""What a model stage costs beside its model, in seconds for 10,000 rows.

start     loading the tokenizer, once
prompts   rendering them and counting their tokens
books     keys, plan, scratch, telemetry, joining, ledger, datasets

The fake engine stands for the model; the seconds inside it are taken off. Run in the project's folder after `make run`, whose
base model counts the tokens. `--profile` lists the functions that the rest goes to.
"""

import argparse
import cProfile
import os
import pstats
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl

from kun.backtranslate import judge as judge_module
from kun.backtranslate import label as label_module
from kun.config import load_params
from kun.corpus.text import text_id
from kun.engine.fake import FakeModel
from kun.engine.tokens import TokenizerFile
from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.schemas.pairs import INSTRUCTION
from kun.schemas.schema import conform
from kun.tables.shards import read_dataset, write_dataset
from kun.work import engines

REPEATS = 3
MODEL_SECONDS = {"judge": 0.1, "label": 0.4}
"""Seconds of the demo model for a row on 2 cores (docs/benchmarks.md), of which the rest may be 3%."""


PARTS = {
    "model": [(FakeModel, "generate"), (FakeModel, "choices")],
    "start": [(engines, "load_tokens")],
    "prompts": [(TokenizerFile, "chat"), (TokenizerFile, "count"), (judge_module, "render"), (label_module, "render")],
}


def main() -> None:
    """Medians over whole runs of each stage; books also for runs that take every row from scratch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    print(f"{options.rows:,} rows, seconds outside the model, median of {REPEATS}")
    print(
        f"{'':<8}{'start':>8}{'prompts':>9}{'books':>8}{'books, a row':>14}{'of the model':>14}{'books, from scratch':>21}"
    )
    for stage in MODEL_SECONDS:
        with tempfile.TemporaryDirectory() as folder:
            project = _project(Path(folder), options.rows)
            runs = [_run(project, stage) for _ in range(REPEATS)]
            first, again = (
                {part: statistics.median(run[n][part] for run in runs) for part in runs[0][n]} for n in (0, 1)
            )
            row = first["books"] / options.rows
            share = (first["books"] + first["prompts"] + first["start"]) / options.rows / MODEL_SECONDS[stage]
            print(
                f"{stage:<8}{first['start']:8.2f}{first['prompts']:9.2f}{first['books']:8.2f}{1e6 * row:11.0f} µs"
                f"{share:14.2%}{again['books']:21.2f}",
                flush=True,
            )
            if options.profile:
                _profile(project, stage)


def _project(root: Path, rows: int) -> Project:
    """A project of made texts and instructions, with the base model of the current one."""
    current, project = Project(), Project(root)
    (root / "models").mkdir()
    shutil.copy(current.base, project.base)
    for adapter in ("label", "chat"):
        shutil.copytree(current.adapter(adapter), project.adapter(adapter))
    os.environ["KUN_SCRATCH"] = str(root / "scratch")
    project.scratch.mkdir()
    (project.scratch / "models").symlink_to((current.root / ".kun/models").resolve())
    ids = [text_id(str(number)) for number in range(rows)]
    known = read_dataset(current.dataset("corpus"))["text"].to_list()
    said = read_dataset(current.dataset("instructions"))["instruction"].to_list()
    rng = random.Random(7)
    made = pl.DataFrame({"id": ids}).with_columns(
        text=pl.Series([f"{number}，{rng.choice(known)}" for number in range(rows)]),
        instruction=pl.Series([f"{number}，{rng.choice(said)}" for number in range(rows)]),
        source=pl.lit("made"),
        origin=pl.lit("made:1"),
        title=pl.lit(""),
        lang=pl.lit("zh"),
    )
    sized = made.with_columns(n_chars=pl.col("text").str.len_chars(), n_tokens=pl.lit(100))
    write_dataset(project.dataset("corpus"), conform(sized, CLEAN), CLEAN)
    write_dataset(project.dataset("instructions"), conform(made, INSTRUCTION), INSTRUCTION)
    return project


def _run(project: Project, stage: str) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of each part with empty scratch, and with full scratch."""
    shutil.rmtree(project.scratch / "work", ignore_errors=True)
    return _parts(project, stage), _parts(project, stage)


def _parts(project: Project, stage: str) -> dict[str, float]:
    spent = dict.fromkeys(PARTS, 0.0)
    with ExitStack() as patches:
        for part, functions in PARTS.items():
            for owner, name in functions:
                patches.enter_context(patch.object(owner, name, _timed(getattr(owner, name), spent, part)))
        start = time.perf_counter()
        _stage(project, stage)
        whole = time.perf_counter() - start
    return spent | {"books": whole - sum(spent.values())}


def _stage(project: Project, stage: str) -> None:
    params = load_params()
    engine = replace(params.engine, backend="fake")
    if stage == "judge":
        judge_module.judge(project, replace(params.judge, calibrate=0.0), engine)
    else:
        label_module.label(project, params.label, engine)


def _timed(method: Callable[..., Any], spent: dict[str, float], part: str) -> Callable[..., Any]:
    @wraps(method)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = method(*args, **kwargs)
        spent[part] += time.perf_counter() - start
        return result

    return timed


def _profile(project: Project, stage: str) -> None:
    shutil.rmtree(project.scratch / "work")
    profiler = cProfile.Profile()
    profiler.runcall(_stage, project, stage)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(14)


if __name__ == "__main__":
    main()
