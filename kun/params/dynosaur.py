"""Dynosaur: instructions from the metadata of datasets."""

from dataclasses import dataclass
from typing import Annotated, Literal

from kun.params.values import Count, Language, Positive, Seed, Share, Writer

ReplayStrategy = Literal["none", "random", "similar", "diverse", "support"]
PromptVariant = Literal["aware", "unaware"]


@dataclass(frozen=True)
class Dynosaur:
    """Datasets, prompts, rules on tasks and instances, replay."""

    path: str
    cards: list[str]
    hub: list[str]
    """With a revision behind "@" what is read never changes."""
    languages: list[Language]
    allow: list[str]
    """SPDX; a dataset that names another licence, or none, is dropped."""
    licences: dict[str, str]
    """Wins over the card."""
    model: Writer
    """Proposes the tasks. A server knows the four as teacher, base, label and chat (engine.server.models)."""
    max_rows: Positive
    variants: list[PromptVariant]
    constrain: Literal["fields", "shape"]
    """fields: only names of the dataset's own fields can be written, and no field twice.
    shape: any names, one schema for all datasets; for servers that take long over a new schema."""
    prompt_rows: Positive
    prompt_chars: Positive
    """The reference takes 1,000, for models with room."""
    max_new_tokens: Positive
    temperature: Annotated[float, 0, 2]
    """0: greedy, as in the reference."""
    repetition_penalty: Annotated[float, 1, 2]
    min_words: Count
    max_words: Positive
    max_labels: Positive
    """More different outputs are no labels. The reference's 10."""
    max_label_chars: Count
    """Longer labels are not listed in the instruction. The reference's 15."""
    max_share_of_two: Share
    """The reference allows 70 of 100 rows."""
    max_share: Share
    """The reference allows 50 of 100 rows."""
    max_instances_per_task: Positive
    max_chars: Positive
    replay: ReplayStrategy
    """none; random; similar, diverse: most and least like the new tasks; support: most like all the old ones."""
    replay_tasks: Count
    """50 as in the paper (from memory of it)."""
    replay_instances_per_task: Positive
    heldout: Share
    """Fixed by the hash of each pair: it never moves."""
    seed: Seed
    """Of draws and orders."""

    def __post_init__(self) -> None:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is above max_words {self.max_words}: no instruction fits")
        for name in ("languages", "allow", "variants"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty, so no dataset could pass")
