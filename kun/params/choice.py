"""Choosing among finished pairs."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, get_args

from kun.params.values import Positive, Seed

Loss = Literal[
    "ifd_loss", "ifd_ppl", "rifd_loss", "rifd_ppl", "ira", "s_cond", "s_direct", "s_rcond", "s_rdirect", "n_answer"
]
"""Columns of data/losses, and what follows from them (kun/select/scores.py)."""
Score = Literal[Loss, "p_good", "copy_rate", "support", "length"]
"""Numbers of a pair; `length`: characters of the answer."""
Amount = Annotated[int, 0, None] | Annotated[float, 0, 1]
"""A whole number: so many rows; with a point: a share of the rows that come in."""
Arm = Literal["random", "longest", "score_only"]
VoteUse = Literal["ignore", "apply", "protect"]


class Limit(NamedTuple):
    """One kind of limit on a score."""

    sign: str
    holds: Callable[[Any, Any], Any]
    """Of a score and the limit."""
    fault: Literal["high", "low"]
    """What a score is that breaks it."""


LIMITS = {
    "below": Limit("<", operator.lt, "high"),
    "at_most": Limit("<=", operator.le, "high"),
    "above": Limit(">", operator.gt, "low"),
    "at_least": Limit(">=", operator.ge, "low"),
}
"""By the key of a filter."""


@dataclass(frozen=True)
class Rank:
    """Which rows come first; equal ones in the order of their ids."""

    by: Literal[Score, "random", "none"]
    """A row without this score is not chosen."""
    descending: bool
    """The highest first."""


@dataclass(frozen=True)
class Diversity:
    """How the rows to keep are chosen from the pool of the best."""

    method: Literal["none", "facility", "kcenter", "clusters"]
    """none: the first of the ranking. facility: rows that cover the pool; kcenter: none far from a chosen one; clusters: as
    many from each cluster of k-means, the best of it."""
    pool: Amount
    """The best so many rows of the ranking; at least as many as are kept. 1.0: all that qualify."""
    clusters: Positive
    """Of the method `clusters`."""


@dataclass(frozen=True)
class Select:
    """Which pairs are released."""

    votes: VoteUse
    """What the votes in data/votes do. apply: a pair that most reviewers drop leaves, and edits replace its texts; protect: and
    a pair that most keep stays, whatever filters, ranking, repeats, quotas and diversity say of it."""
    filters: list[dict[str, str | float]]
    """Each {score: NAME, below | at_most | above | at_least: NUMBER}; a row without the score fails."""
    rank: Rank
    top: Amount
    """How many rows to keep; fewer when fewer qualify."""
    dup_threshold: Annotated[float, 0, 1]
    """Jaccard similarity on character 3-grams from which two instructions repeat each other, and the lower-ranked row goes;
    0: off."""
    quotas: dict[str, Amount]
    """Source, or its first folder -> the most rows of it; a share is one of the rows that `top` asks for."""
    diversity: Diversity
    arms: list[Arm]
    """Sets of the same size from the rows that qualify, in data/arms, to train against the selection."""
    seed: Seed
    """Of random ranks, of the arm `random`, of k-means and of the sample of facility location in large pools."""

    def __post_init__(self) -> None:
        for one in self.filters:
            _check_filter(one)
        named = [one["score"] for one in self.filters]
        if len(set(named)) < len(named):
            raise ValueError(
                f"filters: one filter for each score, with both of its limits; not {', '.join(map(str, named))}"
            )
        if "score_only" in self.arms and self.rank.by not in get_args(Score):
            raise ValueError(f"the arm score_only needs a score to rank by, and rank.by is {self.rank.by}")


def _check_filter(wanted: dict[str, str | float]) -> None:
    """ValueError unless it is one known score with an upper limit, a lower limit, or one of each."""
    limits = {key: value for key, value in wanted.items() if key != "score"}
    if wanted.get("score") not in get_args(Score):
        raise ValueError(f"filter {wanted}: score must be one of {', '.join(get_args(Score))}")
    if not limits or set(limits) - set(LIMITS) or len({LIMITS[key].fault for key in limits}) < len(limits):
        raise ValueError(f"filter {wanted}: besides score it takes below or at_most, above or at_least")
    if any(isinstance(value, str) or math.isnan(value) for value in limits.values()):
        raise ValueError(f"filter {wanted}: a limit must be a number")
