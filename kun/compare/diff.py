"""Two versions of the dataset: rows, shifts, and what was changed to get from one to the other."""

from dataclasses import dataclass
from pathlib import Path

from kun.compare import shifts
from kun.compare.rows import SAMPLES, RowDiff, diff_rows
from kun.compare.shifts import Shift
from kun.compare.versions import open_repo, version

RELEASED = "selected"
"""The dataset that is released, with its scores."""


@dataclass(frozen=True)
class Diff:
    """All that `kun diff` tells."""

    before: str
    after: str
    rows: RowDiff
    sources: Shift
    """By `source`: the file of raw text, GLAN's discipline, Dynosaur's dataset."""
    methods: Shift
    spreads: Shift
    """Lengths and scores: mean and quantiles."""
    reasons: Shift
    metrics: Shift
    params: Shift
    models: Shift
    inputs: Shift


def diff(root: Path, first: str, second: str, samples: int = SAMPLES) -> Diff:
    """Compare what two versions release. InputError for an unknown revision, or one whose data are not here."""
    repo = open_repo(root)
    before, after = (version(repo, root, name) for name in (first, second))
    old, new = before.dataset(RELEASED), after.dataset(RELEASED)
    return Diff(
        before.title,
        after.title,
        diff_rows(old, new, samples),
        shifts.count_shift(old, new, "source"),
        shifts.count_shift(old, new, "method"),
        shifts.spread_shift(old, new),
        shifts.reason_shift(before, after),
        shifts.metric_shift(before, after),
        shifts.param_shift(before, after),
        shifts.model_shift(before, after),
        shifts.input_shift(before, after),
    )
