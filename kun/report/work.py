"""What the model work of each stage cost: reports/work/*.json as a table."""

from typing import Any

from kun.project import Project
from kun.release.facts import read_json
from kun.release.files import number, share
from kun.terminal import text_table

ORDER = ("perplexity", "train", "evaluate", "label", "judge", "polish", "losses", "select")
"""Of the stages that the files are named after; `evaluate-label` is a part of evaluate."""

COLUMNS = (
    "rows",
    "failed",
    "rows_per_second",
    "tokens_in",
    "tokens_out",
    "tokens_in_per_second",
    "tokens_out_per_second",
    "padding",
    "seconds",
    "device_hours",
    "cost",
    "peak_memory_mb",
    "peak_device_memory_mb",
    "processes",
)
"""Not `from_scratch`: it is about the last run, and the page must not change when nothing was computed."""


def model_work(project: Project) -> list[dict[str, Any]]:
    """One row a file, in the order of the pipeline: `stage`, the COLUMNS as text, `where` it was computed, the `figures`."""
    found = []
    for path in sorted(
        (project.root / "reports" / "work").glob("*.json"), key=lambda path: (_place(path.stem), path.stem)
    ):
        figures = read_json(path) or {}
        where = ", ".join(str(figures[name]) for name in ("device", "dtype", "attention") if figures.get(name))
        told = {name: _told(name, figures.get(name)) for name in COLUMNS}
        found.append({"stage": path.stem, **told, "where": where, "figures": figures})
    return found


def spent(found: list[dict[str, Any]]) -> dict[str, str]:
    """Seconds, device_hours and cost of all stages together, as text."""
    told = {}
    for name in ("seconds", "device_hours", "cost"):
        known = [row["figures"].get(name) for row in found]
        told[name] = number(round(sum(one for one in known if isinstance(one, int | float)), 4))
    return told


def work_text(found: list[dict[str, Any]]) -> str:
    """The main figures for the terminal, without a line end."""
    header = ("model work", "rows", "rows/s", "tokens/s in", "out", "padding", "seconds", "MB", "cost")
    names = ("stage", "rows", "rows_per_second", "tokens_in_per_second", "tokens_out_per_second", "padding", "seconds")
    return text_table(header, [[row[name] for name in (*names, "peak_memory_mb", "cost")] for row in found])


def _place(name: str) -> int:
    stage = name.split("-", maxsplit=1)[0]
    return ORDER.index(stage) if stage in ORDER else len(ORDER)


def _told(name: str, value: Any) -> str:
    return share(value) if name == "padding" and isinstance(value, int | float) else number(value)
