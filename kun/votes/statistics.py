"""Figures from few votes, with intervals that stay honest when all votes are alike."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Z = 1.959964
"""Of a 95% interval."""
STEPS = 10_000
"""Of the search for an interval's ends: four decimals."""


class Estimate(NamedTuple):
    """A share with its 95% interval; None where there is nothing to tell."""

    value: float | None
    low: float | None
    high: float | None


def wilson(hits: int, of: int) -> Estimate:
    """A share and Wilson's interval (1927), which is neither empty nor outside of 0 and 1 for 0 or all hits."""
    if not of:
        return Estimate(None, None, None)
    share, bend = hits / of, Z * Z / of
    middle = (share + bend / 2) / (1 + bend)
    half = Z / (1 + bend) * math.sqrt(share * (1 - share) / of + bend / (4 * of))
    return Estimate(round(share, 4), round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4))


def auc_interval(auc: float, good: int, bad: int) -> Estimate:
    """AUC with the interval of Newcombe 2006 (method 5), for `good` and `bad` independent votes.

    All areas whose own variance (Hanley and McNeil 1982, with the mean group size) makes the one seen likely. A bootstrap, as
    of the paired seeds in kun/train/evaluate.py, or DeLong's variance would say 1 to 1 when three votes are in order.
    """
    areas = np.linspace(0, 1, STEPS + 1)
    size = (good + bad) / 2 - 1
    spread = 1 + size * (1 - areas) / (2 - areas) + size * areas / (1 + areas)
    likely = areas[(auc - areas) ** 2 <= Z * Z * areas * (1 - areas) * spread / (good * bad) + 1e-12]
    return Estimate(round(auc, 4), round(float(likely[0]), 4), round(float(likely[-1]), 4))


def auc(good: Sequence[float], bad: Sequence[float]) -> float:
    """Probability that a random good item scores above a random bad one, ties counting half; at least one of each."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([1] * len(good) + [0] * len(bad), [*good, *bad]))


def kappa(left: Sequence[str], right: Sequence[str]) -> float | None:
    """Cohen's kappa of two raters: agreement beyond chance, 1 for all; None where both always say the same one thing."""
    from sklearn.metrics import cohen_kappa_score

    if len({*left, *right}) < 2:
        return None
    return round(float(cohen_kappa_score(left, right)), 4)
