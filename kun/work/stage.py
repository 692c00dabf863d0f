"""What every model stage needs beside its prompts: the engine for this project, and results joined to rows by id."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from kun.engine.base import Gauge, Model, Sampling, Tokens
from kun.engine.tokens import TokenizerFile
from kun.errors import ModelError
from kun.models import load_tokens, locate, read_base
from kun.params import Engine
from kun.project import Project
from kun.tables.shards import write_json
from kun.work.pilot import Pilot
from kun.work.run import Task, run_task
from kun.work.telemetry import Work

VERSION = 3  # part of every key: raise it when the engine's code changes what it computes

COMPLETION = {"text": pl.String, "finish": pl.String, "n_new": pl.Int64}
CHOICES = {"log_probabilities": pl.List(pl.Float64)}
EMBEDDING = {"embedding": pl.List(pl.Float32)}
LOSSES = {"total": pl.Float64, "n_tokens": pl.Int64}


class ModelStage:
    """One stage's use of one model: the base, or the base with the adapter `label` or `chat`."""

    def __init__(
        self, project: Project, name: str, engine: Engine, adapter: str | None, pilot: Pilot | None = None
    ) -> None:
        """Nothing is loaded yet but the tokenizer; the weights follow when a row is missing.

        With a `pilot` its sample alone is computed, and each call returns None, as on helper ranks: nothing is written.
        """
        self.name = name
        self._project, self._engine, self._adapter, self._pilot = project, engine, adapter, pilot
        self._tokenizer = load_tokens(project)
        self.tokens: Tokens = Counted(self._tokenizer)
        self._model: Model | None = None
        self._work = Work()

    def generate(self, prompts: Sequence[str], sampling: Sampling) -> pl.DataFrame | None:
        """Rows (text, finish, n_new) for rendered prompts, in order; null where a row failed; None on helper ranks."""

        def compute(batch: Sequence[Any]) -> list[dict[str, Any]]:
            return [vars(completion) for completion in self.model().generate(batch, sampling)]

        tokens = self.tokens.count(prompts)
        costs = [n + sampling.max_new_tokens for n in tokens]
        settings = {"call": "generate", "sampling": asdict(sampling)}
        return self._run(settings, COMPLETION, compute, prompts, costs, tokens)

    def choices(self, prompts: Sequence[str], choices: Sequence[str]) -> pl.DataFrame | None:
        """Rows (log_probabilities: one per choice)."""

        def compute(batch: Sequence[Any]) -> list[dict[str, Any]]:
            return [{"log_probabilities": row} for row in self.model().choices(batch, choices)]

        longest = max(self.tokens.count(choices))
        tokens = self.tokens.count(prompts)
        costs = [(n + longest) * len(choices) for n in tokens]
        return self._run({"call": "choices", "choices": list(choices)}, CHOICES, compute, prompts, costs, tokens)

    def losses(self, pairs: Sequence[tuple[str, str]]) -> pl.DataFrame | None:
        """Rows (total, n_tokens): loss of each (context, continuation), nats."""

        def compute(batch: Sequence[Any]) -> list[dict[str, Any]]:
            return [
                {"total": loss.total, "n_tokens": loss.n_tokens}
                for loss in self.model().losses([(context, text) for context, text in batch])
            ]

        costs = [n + 1 for n in self.tokens.count([context + text for context, text in pairs])]
        return self._run({"call": "losses"}, LOSSES, compute, [list(pair) for pair in pairs], costs)

    def embeddings(self, texts: Sequence[str]) -> pl.DataFrame | None:
        """Rows (embedding: mean of the hidden states over the text's tokens)."""

        def compute(batch: Sequence[Any]) -> list[dict[str, Any]]:
            return [{"embedding": vector} for vector in self.model().embeddings(batch)]

        return self._run({"call": "embeddings"}, EMBEDDING, compute, texts, [n + 1 for n in self.tokens.count(texts)])

    def model(self) -> Model:
        """The loaded model."""
        if self._model is None:
            self._model = load_engine(self._project, self._engine, self._adapter, self._tokenizer)
        return self._model

    def _run(
        self,
        settings: dict[str, Any],
        schema: dict[str, Any],
        compute: Any,
        payloads: Sequence[Any],
        costs: list[int],
        tokens: list[int] | None = None,
    ) -> pl.DataFrame | None:
        identity = {
            "version": VERSION,
            "backend": self._engine.backend,
            "dtype": self._engine.dtype,
            "model": read_base(self._project).fingerprint,
            "adapter": adapter_hash(self._project, self._adapter),
        }

        def load() -> Any:
            self.model()
            return compute

        task = Task(self.name, identity | settings, schema, load, self._gauge, self._tell, self._pilot)
        return run_task(task, payloads, costs, self._project.scratch, self._engine, tokens)

    def _gauge(self) -> Gauge:
        return self.model().gauge()

    def _tell(self, work: Work) -> None:
        """Write reports/work/<name>.json anew, with this call and the stage's earlier ones."""
        self._work += work
        write_json(self._project.work(self.name), self._work.metrics(self.name))


class Counted:
    """A tokenizer that remembers how many tokens a text has: stages ask for the same prompts twice; implements `Tokens`."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._sizes: dict[str, int] = {}

    def chat(self, message: str) -> str:
        """Render one user turn."""
        return self._tokens.chat(message)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        new = list(dict.fromkeys(text for text in texts if text not in self._sizes))
        self._sizes.update(zip(new, self._tokens.count(new), strict=True))
        return [self._sizes[text] for text in texts]


def load_engine(project: Project, engine: Engine, adapter: str | None, tokens: TokenizerFile | None = None) -> Model:
    """The model behind `engine.backend`; imports torch only when the backend needs it."""
    tokens = tokens or load_tokens(project)
    if engine.backend == "fake":
        from kun.engine.fake import FakeModel

        return FakeModel(tokens)
    from kun.engine.hf import HFModel

    base = read_base(project)
    folder = project.adapter(adapter) if adapter else None
    if folder is not None and not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} holds no trained weights; run `kun train {adapter}` first")
    return HFModel(locate(project, base), tokens, base.end_token, folder, engine.dtype)


def adapter_hash(project: Project, adapter: str | None) -> str:
    """Hash of the trained weights, "" for the base model."""
    if adapter is None:
        return ""
    digest = hashlib.sha256()
    for path in sorted(project.adapter(adapter).glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def within_limit(frame: pl.DataFrame, limit: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first `limit` rows, and the rest as dropped rows with reason `limit`; 0 means no limit."""
    kept = frame.head(limit) if limit else frame
    rest = frame.slice(kept.height).with_columns(reason=pl.lit("limit"), value=pl.lit(""), threshold=pl.lit(str(limit)))
    return kept, rest


def within_context(
    frame: pl.DataFrame, prompts: Sequence[str], tokens: Tokens, limit: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with their `prompt`, and as dropped rows (`prompt_too_long`) those whose prompt has over `limit` tokens."""
    sizes = pl.Series(tokens.count(prompts), dtype=pl.Int64)
    frame = frame.with_columns(pl.Series("prompt", prompts, dtype=pl.String))
    over = frame.with_columns(
        reason=pl.lit("prompt_too_long"), value=sizes.cast(pl.String), threshold=pl.lit(str(limit))
    )
    return frame.filter(sizes <= limit), over.filter(sizes > limit)


def split_finished(frame: pl.DataFrame, results: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows joined side by side with their results; rows without a result come back as failed rows (`out_of_memory`)."""
    joined = pl.concat([frame.drop(set(results.columns) & set(frame.columns)), results], how="horizontal")
    failed = pl.all_horizontal(pl.col(results.columns).is_null())
    lost = pl.concat([frame, results.select(failed.alias("failed"))], how="horizontal").filter("failed")
    return joined.filter(~failed), lost.with_columns(
        reason=pl.lit("out_of_memory"), value=pl.lit("a batch of one row"), threshold=pl.lit("")
    )
