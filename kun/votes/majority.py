"""What the votes on a record decide."""

from collections.abc import Iterable
from dataclasses import dataclass

from kun.votes.vote import Vote

VOTED_OUT = "voted_out"
"""The reason of a pair that the majority drops."""
CONTAMINATED = "contaminated"
"""The reason of a pair that shares text with an evaluation item since it was edited."""
BY_VOTES = (("select", VOTED_OUT), ("select", CONTAMINATED))
"""Stage and reason of what leaves by votes alone."""


@dataclass(frozen=True)
class Decision:
    """The votes on one record, added up. The majority decides, a tie keeps, as in the taxonomy of GLAN."""

    keep: tuple[str, ...]
    """Reviewers who keep the record, as it is or edited."""
    drop: tuple[str, ...]
    """Reviewers who drop it."""
    edit: Vote | None
    """The latest edit."""

    @property
    def out(self) -> bool:
        """More drop it than keep it."""
        return len(self.drop) > len(self.keep)

    @property
    def kept(self) -> bool:
        """More keep it than drop it."""
        return len(self.keep) > len(self.drop)

    @property
    def told(self) -> str:
        """ "drop: anna, li; keep: wang"."""
        sides = {"drop": self.drop, "keep": self.keep}
        return "; ".join(f"{name}: {', '.join(people)}" for name, people in sides.items() if people)


def decisions(votes: Iterable[Vote]) -> dict[str, Decision]:
    """Id -> decision, of standing votes: one for each reviewer and record."""
    by_id: dict[str, list[Vote]] = {}
    for vote in votes:
        by_id.setdefault(vote.id, []).append(vote)
    return {key: _decision(found) for key, found in by_id.items()}


def _decision(votes: list[Vote]) -> Decision:
    ordered = sorted(votes, key=lambda vote: vote.reviewer)
    edits = sorted((vote for vote in ordered if vote.verdict == "edit"), key=lambda vote: vote.time)
    return Decision(
        keep=tuple(vote.reviewer for vote in ordered if vote.verdict != "drop"),
        drop=tuple(vote.reviewer for vote in ordered if vote.verdict == "drop"),
        edit=edits[-1] if edits else None,
    )
