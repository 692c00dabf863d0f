"""What rows that no model has seen yet would take, by the speed of the last run."""

from dataclasses import dataclass

from kun.project import Project
from kun.release.facts import read_json

AFTER = {
    "clean": ("perplexity", "label", "judge", "polish", "losses"),
    "corpus": ("label", "judge", "polish", "losses"),
    "instructions": ("judge", "polish", "losses"),
    "polish": ("polish", "losses"),
    "mix": ("losses",),
}
"""Stage -> the model stages that its new rows still have before them."""
SHARES = {
    "perplexity": ("dedup", "decontaminate"),
    "label": ("corpus",),
    "judge": ("instructions",),
    "polish": ("polish",),
    "losses": ("pairs", "mix"),
}
"""Model stage -> stages before it that keep a share of the rows."""


@dataclass(frozen=True)
class Waiting:
    """Rows of one stage that wait for models."""

    stage: str
    rows: int
    needs: list[str]
    """Model stages, in order."""
    seconds: float | None
    """Of all of them together, loading included; None when a stage has told no speed."""


def waiting(project: Project, stage: str, rows: int) -> Waiting:
    """What `rows` new rows of a stage would take; as many are lost on the way as of those of today."""
    seconds: float | None = 0.0
    left = float(rows)
    for model in AFTER[stage]:
        first = model == AFTER[stage][0]
        for before in () if first and stage != "clean" else SHARES[model]:
            left *= _share(project, before)
        told = read_json(project.work(model)) or {}
        speed = told.get("rows_per_second")
        if not told.get("rows"):
            continue  # no model works in it, as in perplexity by characters
        seconds = None if not speed or seconds is None else seconds + left / speed + told.get("loading_seconds", 0.0)
    return Waiting(stage, rows, list(AFTER[stage]), seconds)


def _share(project: Project, stage: str) -> float:
    counts = read_json(project.counts(stage)) or {}
    return float(counts["kept"] / counts["rows_in"]) if counts.get("rows_in") else 1.0
