"""The sections of params.yaml: what each knob means and which values make sense. The values themselves live in the file."""

from dataclasses import dataclass

from kun.params.backtranslate import Instructions, Judge, Label, Pairs, Polish
from kun.params.corpus import Clean, Corpus, Decontaminate, Dedup, English, Ingest, Perplexity, Seeds
from kun.params.model import Engine, Model, Server
from kun.params.release import Check, Release
from kun.params.train import Evaluate, Train, TrainTask
from kun.params.values import PRIVATE_KINDS, Executor, Language, Preset, PrivateAction

__all__ = [
    "PRIVATE_KINDS",
    "Check",
    "Clean",
    "Corpus",
    "Decontaminate",
    "Dedup",
    "Engine",
    "English",
    "Evaluate",
    "Executor",
    "Ingest",
    "Instructions",
    "Judge",
    "Label",
    "Language",
    "Model",
    "Pairs",
    "Params",
    "Perplexity",
    "Polish",
    "Preset",
    "PrivateAction",
    "Release",
    "Seeds",
    "Server",
    "Train",
    "TrainTask",
]


@dataclass(frozen=True)
class Params:
    """The whole file."""

    launch: str
    """How model stages start; dvc.yaml puts the verb behind it."""
    executor: Executor
    """Where the corpus stages run: processes of this machine, or the Ray cluster of RAY_ADDRESS."""
    model: Model
    engine: Engine
    ingest: Ingest
    clean: Clean
    dedup: Dedup
    decontaminate: Decontaminate
    perplexity: Perplexity
    corpus: Corpus
    seeds: Seeds
    train: Train
    evaluate: Evaluate
    label: Label
    instructions: Instructions
    judge: Judge
    polish: Polish
    pairs: Pairs
    release: Release
    check: Check

    def __post_init__(self) -> None:
        longest = max(self.label.max_new_tokens, self.judge.max_new_tokens, self.polish.max_new_tokens)
        if self.engine.context <= longest:
            raise ValueError(
                f"engine.context {self.engine.context} leaves no room for a prompt beside {longest} new tokens"
            )
