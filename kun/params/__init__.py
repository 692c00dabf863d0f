"""The sections of params.yaml: what each knob means and which values make sense. The values themselves live in the file."""

from dataclasses import dataclass

from kun.params.backtranslate import Instructions, Judge, Label, Pairs, Polish
from kun.params.choice import Diversity, Rank, Select
from kun.params.corpus import Clean, Corpus, Decontaminate, Dedup, English, Ingest, Perplexity, Seeds
from kun.params.dynosaur import Dynosaur
from kun.params.glan import Glan
from kun.params.mix import Mix, Source
from kun.params.model import Engine, Model, Server
from kun.params.reflection import Reflection
from kun.params.release import Check, Release
from kun.params.select import Experience, Losses
from kun.params.train import Evaluate, Train, TrainTask
from kun.params.values import PRIVATE_KINDS, Executor, Language, Preset, PrivateAction

__all__ = [
    "PRIVATE_KINDS",
    "Check",
    "Clean",
    "Corpus",
    "Decontaminate",
    "Dedup",
    "Diversity",
    "Dynosaur",
    "Engine",
    "English",
    "Evaluate",
    "Executor",
    "Experience",
    "Glan",
    "Ingest",
    "Instructions",
    "Judge",
    "Label",
    "Language",
    "Losses",
    "Mix",
    "Model",
    "Pairs",
    "Params",
    "Perplexity",
    "Polish",
    "Preset",
    "PrivateAction",
    "Rank",
    "Reflection",
    "Release",
    "Seeds",
    "Select",
    "Server",
    "Source",
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
    mix: Mix
    losses: Losses
    select: Select
    release: Release
    check: Check
    dynosaur: Dynosaur
    experience: Experience
    glan: Glan
    reflection: Reflection

    def __post_init__(self) -> None:
        writers = (self.label, self.judge, self.polish, self.dynosaur, self.glan, self.reflection)
        longest = max(writer.max_new_tokens for writer in writers)
        if self.engine.context <= longest:
            raise ValueError(
                f"engine.context {self.engine.context} leaves no room for a prompt beside {longest} new tokens"
            )
        if self.reflection.backend == "openai" and not (self.engine.server.url and self.engine.server.models):
            raise ValueError("reflection.backend openai needs engine.server.url and engine.server.models")
