"""Training and its tests."""

from dataclasses import dataclass
from typing import Annotated, Literal

from kun.params.values import Count, Positive, Seed, Share


@dataclass(frozen=True)
class TrainTask:
    """What one of the two models learns."""

    epochs: Positive
    tasks: dict[str, Count]
    """label, answer, judge or polish -> examples of an epoch; 0: one for each seed, two of judge."""

    def __post_init__(self) -> None:
        for task in self.tasks:
            if task not in ("label", "answer", "judge", "polish"):
                raise ValueError(f"unknown task `{task}`; known tasks: label, answer, judge, polish")


@dataclass(frozen=True)
class Train:
    """Supervised fine-tuning; the loss is taken on target tokens only."""

    method: Literal["lora", "full"]
    lora_rank: Positive
    """Width of an adapter."""
    lora_alpha: Positive
    """The output of an adapter is scaled by this over `lora_rank`."""
    lora_layers: Positive | Literal["all"]
    learning_rate: Annotated[float, 0, 1]
    warmup_share: Share
    """Of all steps; the rate rises to `learning_rate`, then falls as a cosine."""
    weight_decay: Share
    """Of AdamW."""
    batch_rows: Positive
    """Rows of one optimiser step, all processes together."""
    device_rows: Positive
    """Rows that a process holds at a time; the gradients of the others of its share are accumulated."""
    gradient_checkpointing: bool
    """Keep only the inputs of each block and compute the rest again in the backward pass: same result, one more forward pass."""
    max_length: Annotated[int, 16, None]
    save_steps: Positive
    seed: Seed
    """Of the examples, their order and the first weights of the adapters."""
    label: TrainTask
    """models/label: from an answer to its instruction."""
    chat: TrainTask
    """models/chat: answers, judges and polishes."""


@dataclass(frozen=True)
class Evaluate:
    """Held-out tests of the two models."""

    judge_rows: Positive
    label_rows: Positive
    """Held-out pairs whose instruction is written anew."""
    seed: Seed
    """Of the corruptions."""
