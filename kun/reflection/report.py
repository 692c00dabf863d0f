"""What reflection did, as lines for the terminal; all figures stand in reports/reflection/counts."""

from collections.abc import Mapping
from typing import Any


def report(counts: Mapping[str, Any]) -> str:
    """From the counts of the stage `pairs`: the four outcomes in both modes, and the means before and after."""
    lines = [f"{'student took':<14}{'pairs':>8}{'as published':>14}{'keep_unreflected':>18}"]
    lines += [
        f"{name:<14}{row['pairs']:>8}{row['as_published']:>14}{row['keep_unreflected']:>18}"
        for name, row in counts["outcomes"].items()
    ]
    lines.append(f"{'mean of':<14}{'before':>8}{'after':>14}")
    lines += [
        f"{name:<14}{_told(row['before']):>8}{_told(row['after']):>14}" for name, row in counts["compared"].items()
    ]
    return "\n".join(lines)


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
