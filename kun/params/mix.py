"""What enters the release."""

from dataclasses import dataclass
from typing import Annotated

from kun.params.values import Count, Share


@dataclass(frozen=True)
class Source:
    """Pairs of one method."""

    pairs: str
    """Folder of a dataset with the columns of pairs."""
    gate: str
    """Report of the gate that it has passed."""


@dataclass(frozen=True)
class Mix:
    """Pairs of several methods together."""

    sources: dict[str, Source]
    """Name -> pairs, best first: of pairs that ask the same the one of the first source stays."""
    caps: dict[str, Count]
    """Name -> most pairs of this source, a sample by id."""
    weights: dict[str, Annotated[float, 0, None]]
    """Name -> how readily its pairs are drawn when `limit` does not take all; others have 1."""
    limit: Count
    """Pairs of all sources together; 0: all."""
    dup_threshold: Share
    """Jaccard of the character 3-grams of two requests (instruction and input) from which they ask the same."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources must name at least one dataset of pairs")
        for name in (*self.caps, *self.weights):
            if name not in self.sources:
                raise ValueError(
                    f"{name!r} has a cap or a weight, but is none of the sources ({', '.join(self.sources)})"
                )
