"""What model work cost: a line for each batch beside the rows in scratch, and their sum over the rows of a stage.

Speed is no part of a result and so stands in no dataset. But a stage that finds its rows in scratch, computed by whatever runs
before, should tell what they cost; so each batch leaves its figures there. A line is written before the rows that it is about: a
kill in between costs a line too many, and of two lines about a row one counts.
"""

import json
import resource
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kun import processes
from kun.engine.base import Gauge

Line = dict[str, Any]
"""keys, tokens_in, tokens_out, padded, seconds, loading, cost, processes, device, dtype, attention, memory, device_memory."""

MEGABYTE = 1e6


class Meter:
    """Times the batches of this process and writes their lines, to a file of its own: no other process can tear them."""

    def __init__(self, folder: Path, tokens: Mapping[str, int], gauge: Callable[[], Gauge]) -> None:
        """`tokens` are those of each row's prompt, by key; `gauge` is asked once the model is loaded."""
        self._file = folder / f"cost-{uuid.uuid4().hex}.jsonl"
        self.tokens, self._gauge = tokens, gauge
        self._seconds = self._loading = 0.0
        self._told = Gauge()

    def load(self, load: Callable[[], Callable[[Sequence[Any]], Any]]) -> Callable[[Sequence[Any]], Any]:
        """What `load` returns, timed at each call."""
        start = time.perf_counter()
        compute = load()
        self._told = self._gauge()
        self._loading = time.perf_counter() - start

        def timed(batch: Sequence[Any]) -> Any:
            began = time.perf_counter()
            try:
                return compute(batch)
            finally:
                self._seconds += time.perf_counter() - began

        return timed

    def note(self, keys: Sequence[str], results: Sequence[Mapping[str, Any]]) -> Line:
        """Write the line of finished rows: what was timed since the last one, attempts that did not fit included."""
        before, now = self._told, self._gauge()
        sizes = [self.tokens[key] for key in keys]
        line = {
            "keys": list(keys),
            "tokens_in": _grown(before.tokens_in, now.tokens_in, sum(sizes)),
            "tokens_out": _grown(before.tokens_out, now.tokens_out, sum(row.get("n_new", 0) for row in results)),
            "padded": len(sizes) * max(sizes) if now.pads else sum(sizes),
            "seconds": round(self._seconds, 6),
            "loading": round(self._loading, 3),
            "cost": now.cost - before.cost,
            "processes": processes.world_size(),
            "device": now.device,
            "dtype": now.dtype,
            "attention": now.attention,
            "memory": peak_memory(),
            "device_memory": now.peak_memory,
        }
        self._told, self._seconds, self._loading = now, 0.0, 0.0
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return line


@dataclass
class Work:
    """What the rows of a stage cost, whichever runs computed them; sums add up, of memory the peak counts."""

    rows: int = 0
    """Different ones: equal prompts are asked once."""
    reused: int = 0
    """Of them, found in scratch by this run."""
    failed: int = 0
    measured: float = 0.0
    """Rows with a line: those of older versions of kun have none."""
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    padded: float = 0.0
    seconds: float = 0.0
    """As long as the processes took, had they shared each batch evenly."""
    device_seconds: float = 0.0
    """Of all devices together, with the loading of the model."""
    loading: float = 0.0
    cost: float = 0.0
    memory: int = 0
    device_memory: int = 0
    processes: int = 0
    device: set[str] = field(default_factory=set)
    dtype: set[str] = field(default_factory=set)
    attention: set[str] = field(default_factory=set)

    def __add__(self, other: "Work") -> "Work":
        """Both together."""
        peaks = ("memory", "device_memory", "processes")
        sums: dict[str, Any] = {}
        for name, mine in vars(self).items():
            theirs = getattr(other, name)
            sums[name] = (
                max(mine, theirs) if name in peaks else mine | theirs if isinstance(mine, set) else mine + theirs
            )
        return Work(**sums)

    def count(self, line: Line, rows: int) -> None:
        """Add the part of a line that falls to `rows` of its rows."""
        part = rows / len(line["keys"])
        self.measured += rows
        for name in ("tokens_in", "tokens_out", "padded", "cost", "loading"):
            setattr(self, name, getattr(self, name) + part * line[name])
        self.seconds += part * line["seconds"] / line["processes"]
        self.device_seconds += part * (line["seconds"] + line["loading"])
        for name in ("memory", "device_memory", "processes"):
            setattr(self, name, max(getattr(self, name), line[name]))
        for name in ("device", "dtype", "attention"):
            getattr(self, name).update({line[name]} - {""})

    def metrics(self, stage: str) -> dict[str, Any]:
        """The figures as people read them; tokens, seconds and cost are those of the measured rows."""
        seconds = self.seconds or 1e-9
        return {
            "stage": stage,
            "rows": self.rows,
            "from_scratch": round(self.reused / self.rows, 4) if self.rows else 0.0,
            "failed": self.failed,
            "measured": round(self.measured),
            "seconds": round(self.seconds, 3),
            "loading_seconds": round(self.loading, 3),
            "rows_per_second": round(self.measured / seconds, 2),
            "tokens_in": round(self.tokens_in),
            "tokens_out": round(self.tokens_out),
            "tokens_in_per_second": round(self.tokens_in / seconds, 1),
            "tokens_out_per_second": round(self.tokens_out / seconds, 1),
            "padding": round(1 - self.tokens_in / self.padded, 4) if self.padded else 0.0,
            "device_hours": round(self.device_seconds / 3600, 6),
            "cost": round(self.cost, 6),
            "peak_memory_mb": round(self.memory / MEGABYTE),
            "peak_device_memory_mb": round(self.device_memory / MEGABYTE),
            "processes": self.processes,
            "device": ", ".join(sorted(self.device)),
            "dtype": ", ".join(sorted(self.dtype)),
            "attention": ", ".join(sorted(self.attention)),
        }


def work_of(folder: Path, keys: Collection[str]) -> Work:
    """What these rows cost, by the lines in their folder of scratch."""
    work, left = Work(rows=len(keys)), set(keys)
    for line in lines(folder):
        found = left.intersection(line["keys"])
        if found:
            work.count(line, len(found))
            left -= found
    return work


def lines(folder: Path) -> Iterator[Line]:
    """Every whole line of every process; a kill can have torn the last one of each."""
    for file in sorted(folder.glob("cost-*.jsonl")):
        for text in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                yield json.loads(text)
            except json.JSONDecodeError:
                continue


def peak_memory() -> int:
    """Bytes of memory that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _grown(before: int | None, now: int | None, counted: int) -> int:
    """By the server's count when it keeps one."""
    return counted if now is None else now - (before or 0)
