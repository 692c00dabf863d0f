"""Does a row's result depend on its company? The same rows labelled in other batches, another order, by more processes.

The rows are the shortest real texts, so that on two cores four times 500 take a quarter of an hour.
`python bench/independence.py [--rows 500] [--new 48]`, in the project's folder after `bench/real_models.py`.
Each way has a scratch of its own and runs as `kun label` does; the table says how many instructions are the same as in the first.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.tables.shards import read_dataset, write_dataset

HOME = Path(".bench/independence")
LAUNCH = ("accelerate", "launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
          "--dynamo_backend", "no", "--main_process_port", "0", "-m", "kun")  # fmt: skip
CPU = {"ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo", "HF_HUB_OFFLINE": "1"}
"""With `--cpu` accelerate would start one process, or ask for MPI."""
ALONE = (sys.executable, "-m", "kun")


@dataclass(frozen=True)
class Way:
    """One way of computing the same rows."""

    name: str
    max_rows: int
    shuffled: bool = False
    command: tuple[str, ...] = ALONE
    processes: int = 1


WAYS = (
    Way("48 rows a batch", 48),
    Way("7 rows a batch", 7),
    Way("48 rows, another order", 48, shuffled=True),
    Way("2 processes, 24 rows", 24, command=LAUNCH, processes=2),
)


def labelled(way: Way, texts: pl.DataFrame, new: int) -> tuple[pl.DataFrame, float]:
    """Instructions (id, instruction) and seconds."""
    project = Project(HOME / way.name.replace(" ", "-"))
    params: dict[str, Any] = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["engine"] |= {"max_rows": way.max_rows, "dtype": "float32"}
    params["label"] |= {"max_new_tokens": new, "temperature": 0.0}
    rows = texts.sample(fraction=1, shuffle=True, seed=5) if way.shuffled else texts
    write_dataset(project.dataset("corpus"), rows, CLEAN)
    (project.root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    scratch = (project.root / ".kun").resolve()
    for link, place in ((project.root / "models", Path("models")), (scratch / "models", Path(".kun/models"))):
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            link.symlink_to(place.resolve())
    environment = os.environ | CPU | {"KUN_SCRATCH": str(scratch)}
    start = time.perf_counter()
    subprocess.run([*way.command, "label"], cwd=project.root, env=environment, check=True)
    told = json.loads((project.root / "reports/work/label.json").read_text())
    assert told["processes"] == way.processes, f"{way.name}: {told['processes']} processes worked"
    return read_dataset(project.dataset("labelled")).select("id", "instruction"), time.perf_counter() - start


def same(before: str, now: str) -> int:
    """Characters at the beginning that agree."""
    return next(
        (place for place, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), min(len(before), len(now))
    )


def main() -> None:
    """A line for each way, then each text that differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--new", type=int, default=48)
    asked = parser.parse_args()
    texts = read_dataset(Path(".bench/real/texts/data/deduped")).sort("n_tokens", "id").head(asked.rows).select(*CLEAN)
    first: pl.DataFrame | None = None
    differing = []
    print(f"{texts.height} texts, {asked.new} new tokens at most\n{'':<26}{'seconds':>8}{'same':>8}")
    for way in WAYS:
        found, seconds = labelled(way, texts, asked.new)
        first = found if first is None else first
        both = first.join(found, on="id", suffix="_now", validate="1:1")
        assert both.height == texts.height, f"{way.name}: rows are missing"
        other = both.filter(pl.col("instruction") != pl.col("instruction_now"))
        differing += [(way.name, *row) for row in other.select("instruction", "instruction_now").iter_rows()]
        print(f"{way.name:<26}{seconds:>8.0f}{1 - other.height / both.height:>8.1%}", flush=True)
    for name, before, now in differing:
        print(f"{name}: the same {same(before, now)} characters, then\n  {before!r}\n  {now!r}")


if __name__ == "__main__":
    main()
