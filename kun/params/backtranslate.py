"""The Kun method."""

from dataclasses import dataclass
from typing import Annotated, Literal

from kun.params.values import Count, Language, Positive, Seed, Share


@dataclass(frozen=True)
class Label:
    """Writing an instruction for each text."""

    lang: Language
    """Of the prompt."""
    temperature: Annotated[float, 0, 2]
    top_p: Annotated[float, 0, 1]
    """Tokens are drawn from the likeliest that make up this probability."""
    repetition_penalty: Annotated[float, 1, 2]
    """Divides the logits of tokens already written; 1: off."""
    max_new_tokens: Positive
    """A longer instruction is cut off, and dropped by the next stage."""
    limit: Count
    """The first texts only; 0: all."""
    seed: Seed
    """Of the draws, when temperature is above 0."""


@dataclass(frozen=True)
class Instructions:
    """Rules on one instruction."""

    dangling: Literal["anchored", "keywords"]
    min_chars: Count
    """Of an instruction, as `max_chars`."""
    max_chars: Positive
    """Longer ones are answers or ramblings."""
    max_copied_share: Share
    min_copied_chars: Count
    """A shorter common run is the name of the topic, not a copy."""
    dup_threshold: Annotated[float, 0.3, 1]
    seed: Seed
    """Of the hash functions that find near-duplicates."""


@dataclass(frozen=True)
class Judge:
    """Scoring instructions."""

    mode: Literal["verdict", "sampled", "pair_score"]
    rubric: Literal["short", "full"]
    """full: with the seven examples of the paper's kind, for models that judge untrained; short: for a trained judge."""
    lang: Language
    """Of the prompt."""
    temperature: Annotated[float, 0, 2]
    max_new_tokens: Positive
    calibrate: Share
    """p_good is 0.5 at the margin that this share of held-out seed instructions reaches; 0: raw probabilities.

    A judge trained on few examples leans to one verdict; its order of instructions is still good (AUC).
    """
    floor: Share
    threshold: Share
    limit: Count
    """The first instructions only; 0: all."""
    seed: Seed
    """Of the draws in the sampled modes."""

    def __post_init__(self) -> None:
        if self.threshold < self.floor:
            raise ValueError(f"threshold {self.threshold} is below floor {self.floor}: such rows are never polished")


@dataclass(frozen=True)
class Polish:
    """Rewriting the raw text into an answer."""

    lang: Language
    """Of the prompt."""
    temperature: Annotated[float, 0, 2]
    """0: greedy."""
    top_p: Annotated[float, 0, 1]
    """As in label."""
    repetition_penalty: Annotated[float, 1, 2]
    """As in label."""
    max_new_tokens: Positive
    """A longer answer is cut off, and dropped by `pairs`."""
    min_text_tokens: Count
    limit: Count
    """The first instructions only; 0: all."""
    seed: Seed
    """Of the draws, when temperature is above 0."""


@dataclass(frozen=True)
class Pairs:
    """Rules on the finished pair."""

    min_chars: Count
    max_repeats: Positive
    min_distinct_4gram: Share
    """Distinct character 4-grams over all, of answers over 100 characters."""
    min_support: Share
    min_cjk_share: Share
    """CJK ideographs among the letters of an answer."""
    refusals: Literal["anchored", "keywords"]
