"""What leaves the project."""

from dataclasses import dataclass

from kun.params.values import Positive


@dataclass(frozen=True)
class Release:
    """Files for trainers."""

    name: str
    """Of the dataset, on its card and in LLaMA-Factory's index."""
    shard_rows: Positive
    """Rows of one parquet file."""


@dataclass(frozen=True)
class Check:
    """Gates."""

    max_examples: Positive
