"""Selecting pairs by what a model makes of them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from kun.params.values import Count, Language, Positive, Seed, Share


@dataclass(frozen=True)
class Experience:
    """Pairs on which the base model gathers its brief experience; the numbers are those of the paper's documented run."""

    clusters: Positive
    per_cluster: Positive
    low_percentile: Share
    high_percentile: Share
    """Of the perplexities in a cluster, as `low_percentile`."""
    epochs: Positive
    seed: Seed

    def __post_init__(self) -> None:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must be below high_percentile")


@dataclass(frozen=True)
class Losses:
    """Losses of each pair under a scorer."""

    model: str
    """The scorer: base, label, chat or experience as trained here; a folder, an installed GGUF package or a hub id; none: no
    losses are taken."""
    revision: str
    """Branch, tag or commit of a hub id; pinned to a commit in models/scorer.json."""
    template: Literal["chat", "alpaca", "wizardlm", "vicuna", "bare"]
    """chat: the scorer's own, in which models are trained here. The others as published: alpaca, wizardlm and vicuna by
    Cherry, bare (instruction, line break) by Superfiltering."""
    direct_context: Literal["header", "bos", "none"]
    """What stands before the answer without its instruction: beginning token and reply header, or the beginning token alone.
    none: no beginning token in either pass, as GPT-2 in Superfiltering; the direct pass then has no loss of the first token."""
    max_length: Annotated[int, 16, None]
    """Tokens of prompt and answer; what is over is cut from the answer, in both passes alike."""
    min_tokens: Positive
    """Answers of fewer scored tokens are marked `few_tokens`: their means are noise."""
    reversed: bool
    """Score the instruction behind its answer too; twice the work."""
    lang: Language
    """Of the chat prompt, and of the request to guess the instruction."""
    limit: Count
    """The first pairs only; 0: all."""
