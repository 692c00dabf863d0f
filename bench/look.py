"""Looking at a million rows: explain, why, what-if, diff, compare and report, each as a user starts it.

`python bench/look.py [ROWS] [--in FOLDER]` makes a project of ROWS (a million) records of made Chinese in a temporary folder, or
takes the one in FOLDER (and makes it there when it is missing), and prints for each verb seconds on the clock, seconds of all
processors, and the most memory. Without page cache the first line of a kind would be slower: each verb runs twice, and the
second run counts. `diff` compares two versions of data/selected with ROWS rows each, under git and DVC.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
from million import make_project, make_versions

from kun.project import Project

ENDS = {"explain": 2, "why": 2, "what-if": 10, "diff": 60, "compare": 60, "report": 60}
"""Aims, seconds."""


def measured(folder: Path, words: list[str]) -> tuple[float, float, float]:
    """Seconds, processor seconds and GB of `kun WORDS` in a folder; AssertionError when it fails."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "kun", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"kun {' '.join(words)}: {told}"
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


def questions(project: Project) -> list[list[str]]:
    """What people ask, of a record in the middle."""
    table = pl.scan_parquet(project.dataset("selected") / "*.parquet")
    rows = table.select(pl.len()).collect().item()
    record = table.select("id", "output").slice(rows // 2, 1).collect().row(0)
    return [
        ["explain", record[0]],
        ["explain", str(rows // 2)],
        ["explain", record[1][20:60]],
        ["explain", record[0][:12]],
        ["why"],
        ["why", "--stage", "pairs", "--examples", "5"],
        ["what-if", "judge.threshold=0.6"],
        ["what-if", "judge.threshold=0.3"],
        ["what-if", "select.top=0.1", "select.rank.by=ifd_ppl"],
        ["what-if", "clean.max_symbol_share=0.2"],
        ["what-if", "corpus.low_percentile=0.1"],
        ["what-if", "pairs.min_distinct_4gram=0.9"],
        ["what-if", "mix.limit=100000"],
        ["report"],
    ]


def main(rows: int, folder: Path) -> None:
    """A line for each verb."""
    whole, versions = folder / "project", folder / "versions"
    for kind, place in (("project", whole), ("versions", versions)):
        if not place.is_dir():  # in a process of its own: its memory would count as that of each verb
            subprocess.run([sys.executable, __file__, str(rows), "--in", str(place), "--make", kind], check=True)
    asked = [(whole, words) for words in questions(Project(whole))]
    asked += [(versions, ["diff", "v1", "v2"]), (versions, ["compare", "v1", "v2"])]
    print(f"{'kun':<46}{'seconds':>9}{'processor':>11}{'GB':>6}{'aim':>5}", flush=True)
    for place, words in asked:
        measured(place, words)
        seconds, processor, memory = measured(place, words)
        told = " ".join(word if len(word) < 33 else f"{word[:12]}…" for word in words)
        print(f"{told:<46}{seconds:>9.1f}{processor:>11.1f}{memory:>6.2f}{ENDS[words[0]]:>5}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--in", dest="folder", type=Path)
    parser.add_argument("--make", choices=["project", "versions"], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.make:
        (make_project if chosen.make == "project" else make_versions)(chosen.folder, chosen.rows)
    elif chosen.folder:
        main(chosen.rows, chosen.folder.resolve())
    else:
        with tempfile.TemporaryDirectory() as place:
            main(chosen.rows, Path(place))
