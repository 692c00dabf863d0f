"""How far the judge can be trusted: curves of its evaluation on held-out seeds, from reports/evaluate.json."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kun.release.facts import read_json

JUDGES = ("trained", "zero_shot")
BINS = 10

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Curves:
    """Of one judge; good and spoilt instructions count as equally frequent."""

    auc: float | None
    low: float | None
    """And `high`: the 95% interval of the AUC."""
    high: float | None
    precision: Points = field(default_factory=list)
    """(threshold, precision) where something passes; as all lists from the lowest x to the highest."""
    recall: Points = field(default_factory=list)
    """(threshold, recall)."""
    roc: Points = field(default_factory=list)
    """(false positive rate, recall)."""
    reliability: Points = field(default_factory=list)
    """(middle of a tenth of p_good, share of good instructions among those in it)."""


def judges(project_root: Path) -> dict[str, Curves]:
    """Judge -> its curves, of those that were evaluated."""
    told = (read_json(project_root / "reports" / "evaluate.json") or {}).get("judge")
    found = told if isinstance(told, dict) else {}
    return {name: curves(found[name]) for name in JUDGES if isinstance(found.get(name), dict)}


def curves(told: dict[str, Any]) -> Curves:
    """From one judge's part of the file; `curve` has threshold, recall and false_rate, from the lowest threshold up."""
    auc, low, high = (told.get(name) for name in ("auc", "auc_low", "auc_high"))
    points = [(one["threshold"], one["recall"], one["false_rate"]) for one in told.get("curve", [])]
    if not points:
        return Curves(auc, low, high)
    return Curves(
        auc,
        low,
        high,
        precision=[(at, recall / (recall + false)) for at, recall, false in points if recall + false],
        recall=[(at, recall) for at, recall, _ in points],
        roc=sorted({(false, recall) for _, recall, false in points} | {(0.0, 0.0), (1.0, 1.0)}),
        reliability=_reliability(points),
    )


def _reliability(points: list[tuple[float, float, float]]) -> Points:
    """What lies between two thresholds is what passes the lower and not the higher one."""
    above = {round(at, 6): (recall, false) for at, recall, false in points} | {1.0: (0.0, 0.0)}
    found = []
    for place in range(BINS):
        low, high = (above.get(round(edge / BINS, 6)) for edge in (place, place + 1))
        if low is None or high is None:
            continue
        good, bad = low[0] - high[0], low[1] - high[1]
        if good + bad > 1e-9:
            found.append(((place + 0.5) / BINS, good / (good + bad)))
    return found
