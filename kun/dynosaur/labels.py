"""What the rows of a dataset say about a task: classification or not, its labels, and whether they are balanced."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kun.dynosaur.fields import is_scalar
from kun.params import Dynosaur

LOOKED_AT = 100
"""Rows, as in the reference, whose limits are counts of them; here they are shares."""


@dataclass(frozen=True)
class Outputs:
    """What the outputs of a task are like."""

    kind: str
    """label, text, or unknown without rows."""
    labels: tuple[str, ...] = ()
    """Sorted: the same in every run."""
    reason: str = ""
    """Why the task cannot be used, "" when it can."""
    value: str = ""
    threshold: str = ""


def outputs_of(rows: Sequence[Mapping[str, Any]], field: str, params: Dynosaur) -> Outputs:
    """Look at a field of the first LOOKED_AT rows; absent and empty values count for nothing.

    A value that is no scalar spoils the task. With up to `max_labels` different values, each twice on average, it is a
    classification; of other tasks nothing is asked.
    """
    values = [row.get(field) for row in rows[:LOOKED_AT]]
    nested = next((value for value in values if value is not None and not is_scalar(value)), None)
    if nested is not None:
        return Outputs("text", reason="output_not_scalar", value=type(nested).__name__, threshold="text or number")
    times = Counter(text for value in values if (text := output_text(value)))
    if not rows:
        return Outputs("unknown")
    if not times:
        return Outputs("text", reason="empty_output_field", value=field, threshold="a value in some row")
    if len(times) == 1:
        return Outputs("label", reason="one_label", value=next(iter(times)), threshold=">= 2 labels")
    if len(times) > params.max_labels or 2 * len(times) > times.total():
        return Outputs("text")
    label, most = times.most_common(1)[0]
    share, limit = most / times.total(), params.max_share_of_two if len(times) == 2 else params.max_share
    if share > limit:
        return Outputs("label", reason="imbalanced", value=f"{label}: {share:.2f}", threshold=f"<= {limit}")
    return Outputs("label", tuple(sorted(times)))


def listed(labels: Sequence[str], params: Dynosaur) -> bool:
    """Are there labels, all short enough to be named in the instruction?"""
    return bool(labels) and all(len(label) <= params.max_label_chars for label in labels)


def output_text(value: object) -> str:
    """A scalar as it stands in an instance, "" for anything else."""
    return str(value).strip() if is_scalar(value) else ""
