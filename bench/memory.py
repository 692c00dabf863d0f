"""Memory of a stage: all of its processes together, looked at again and again."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

EVERY = 0.2  # seconds between two looks


def measured(script: str, stage: str, folder: Path) -> tuple[float, float, dict[str, int]]:
    """Seconds, GB of all processes at their most, and counts of a stage, run by `script --stage STAGE FOLDER`, which prints
    them."""
    start = time.perf_counter()
    command = [sys.executable, script, "--stage", stage, str(folder)]
    process = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _memory(process))
        time.sleep(EVERY)
    seconds = time.perf_counter() - start
    assert process.returncode == 0, f"{stage} failed"
    return seconds, peak / 1e9, json.loads(process.stdout.read())


def _memory(process: psutil.Process) -> int:
    """Bytes of the process and its children; pages that they share count once for each."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
