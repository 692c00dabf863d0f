"""The judge in processes of one thread each: how much faster are two than one?

`python bench/scaling.py SEEDS [--rows 600] [--rounds 3]`, in the project's folder after `make run`: SEEDS is a file of
pairs, whose instructions the chat model judges. Each round runs every way from an empty scratch. Work is timed without
start and loading, as the stage tells it; the whole command is what a user waits for.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from independence import ALONE, CPU, LAUNCH
from real_models import project, store_seeds

from kun.project import Project

WAYS = {"1 process": (1, ALONE), "2 processes": (2, LAUNCH)}


def judged(root: Path, processes: int, command: tuple[str, ...]) -> tuple[float, float]:
    """Seconds of the work and of the command, nothing taken from scratch."""
    scratch = root.resolve() / ".kun"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    (scratch / "models").symlink_to(Path(".kun/models").resolve())
    environment = os.environ | CPU | {"KUN_SCRATCH": str(scratch), "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    subprocess.run([*command, "judge"], cwd=root, env=environment, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    told = json.loads((root / "reports/work/judge.json").read_text())
    assert told["processes"] == processes
    return told["seconds"], seconds


def main() -> None:
    """Medians and the ratio to one process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=Path)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    home = project("scaling", Project())
    shutil.copy("params.yaml", home.root)
    store_seeds(home, asked.seeds, asked.rows)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(asked.rounds):
        for name, (processes, command) in WAYS.items():
            times[name].append(judged(home.root, processes, command))
            print(f"{name}: {times[name][-1][0]:.1f} s of work, {times[name][-1][1]:.1f} s in all", flush=True)
    one, two = ([statistics.median(values) for values in zip(*times[name], strict=True)] for name in WAYS)
    print(f"two processes are {one[0] / two[0]:.2f} times as fast at the work, {one[1] / two[1]:.2f} times in all")


if __name__ == "__main__":
    main()
