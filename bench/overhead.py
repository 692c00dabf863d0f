"""What a model stage costs beside its model: prompts, keys, plan, scratch, telemetry, joining and books of 10,000 rows.

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
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import polars as pl

from kun.backtranslate.judge import judge
from kun.backtranslate.label import label
from kun.config import load_params
from kun.corpus.text import text_id
from kun.engine.fake import FakeModel
from kun.project import Project
from kun.schemas import CLEAN, INSTRUCTION, conform
from kun.tables.shards import read_dataset, write_dataset

REPEATS = 3
MODEL_SECONDS = {"judge": 0.1, "label": 0.4}
"""Seconds of the demo model for a row on 2 cores (docs/benchmarks.md), of which the rest may be 3%."""


def main() -> None:
    """Medians over whole runs of each stage, and over runs that take every row from scratch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    print(f"{options.rows:,} rows, seconds outside the model (median of {REPEATS})")
    print(f"{'stage':<8} {'all computed':>14} {'a row':>10} {'of the model':>14} {'all from scratch':>18}")
    for stage in MODEL_SECONDS:
        with tempfile.TemporaryDirectory() as folder:
            project = _project(Path(folder), options.rows)
            pairs = [_run(project, stage) for _ in range(REPEATS)]
            first, again = (statistics.median(times) for times in zip(*pairs, strict=True))
            part = first / options.rows
            share = part / MODEL_SECONDS[stage]
            print(f"{stage:<8} {first:12.2f} s {1e6 * part:7.0f} µs {share:14.2%} {again:16.2f} s", flush=True)
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


def _run(project: Project, stage: str) -> tuple[float, float]:
    """Seconds outside the model with empty scratch, and with full scratch."""
    shutil.rmtree(project.scratch / "work", ignore_errors=True)
    return _outside(project, stage), _outside(project, stage)


def _outside(project: Project, stage: str) -> float:
    inside = [0.0]
    original = {name: getattr(FakeModel, name) for name in ("generate", "choices")}
    for name, method in original.items():
        setattr(FakeModel, name, _timed(method, inside))
    start = time.perf_counter()
    _stage(project, stage)
    spent = time.perf_counter() - start
    for name, method in original.items():
        setattr(FakeModel, name, method)
    return spent - inside[0]


def _stage(project: Project, stage: str) -> None:
    params = load_params()
    engine = replace(params.engine, backend="fake")
    if stage == "judge":
        judge(project, replace(params.judge, calibrate=0.0), engine)
    else:
        label(project, params.label, engine)


def _timed(method: Callable[..., Any], inside: list[float]) -> Callable[..., Any]:
    @wraps(method)
    def timed(*args: Any) -> Any:
        start = time.perf_counter()
        result = method(*args)
        inside[0] += time.perf_counter() - start
        return result

    return timed


def _profile(project: Project, stage: str) -> None:
    shutil.rmtree(project.scratch / "work")
    profiler = cProfile.Profile()
    profiler.runcall(_stage, project, stage)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(14)


if __name__ == "__main__":
    main()
