"""What every model stage needs beside its prompts: calls whose finished rows are kept, and results joined to rows by id."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import PurePosixPath
from typing import Any, TypeVar

import polars as pl

from kun.engine.base import Embedder, Failure, Model, Sampling, Span, Tokens
from kun.engine.schema import check_schema
from kun.params import Engine
from kun.project import Project
from kun.tables.shards import write_json
from kun.work.batches import Row
from kun.work.encoders import encoder_identity, load_encoder
from kun.work.engines import Counted, identity, load_engine, model_name, stage_tokens, with_batches
from kun.work.pilot import Pilot
from kun.work.run import Task, run_task
from kun.work.scratch import content_key
from kun.work.telemetry import Work

T = TypeVar("T")

VERSION = 4  # part of every key: raise it when the engine's code changes what it computes

COMPLETION = {"text": pl.String, "finish": pl.String, "n_new": pl.Int64}
CHOICES = {"log_probabilities": pl.List(pl.Float64)}
EMBEDDING = {"embedding": pl.List(pl.Float32)}
LOSSES = {"total": pl.Float64, "n_tokens": pl.Int64}
FAILURES = {"reason": pl.String, "value": pl.String}


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
        self._tokenizer = stage_tokens(project, engine)
        self.tokens: Tokens = Counted(self._tokenizer)
        self.failures = failure_frame([])
        """Of the last call: `reason` and `value` for each row, null where there is a result."""
        self._model: Model | None = None
        self._encoder: Embedder | None = None
        self._work = Work()

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, schemas: Sequence[str] = (), seeds: Sequence[int] = ()
    ) -> pl.DataFrame | None:
        """Rows (text, finish, n_new) for rendered prompts, in order; null where a row failed; None on helper ranks.

        `schemas`: one for each prompt, when texts are held to any. ModelError where no text could satisfy one. `seeds`: one for
        each prompt, so that one prompt can be asked several times.
        """
        parts = {"prompts": prompts, "schemas": schemas, "seeds": seeds}
        given = {name: values for name, values in parts.items() if values}

        def compute(batch: Sequence[Any]) -> list[Row]:
            columns = zip(*batch, strict=True) if len(given) > 1 else [batch]
            return _rows(self.model().generate(sampling=sampling, **dict(zip(given, columns, strict=True))), vars)

        for schema in set(schemas) - {""}:
            check_schema(schema)
        tokens = self.tokens.count(prompts)
        costs = [n + sampling.max_new_tokens for n in tokens]
        payloads = [list(row) for row in zip(*given.values(), strict=True)] if len(given) > 1 else prompts
        settings = {"call": "generate", "sampling": asdict(sampling)}
        return self._run(settings, COMPLETION, compute, payloads, costs, tokens)

    def choices(self, prompts: Sequence[str], choices: Sequence[str]) -> pl.DataFrame | None:
        """Rows (log_probabilities: one per choice)."""

        def compute(batch: Sequence[Any]) -> list[Row]:
            return _rows(self.model().choices(batch, choices), lambda row: {"log_probabilities": row})

        longest = max(self.tokens.count(choices))
        tokens = self.tokens.count(prompts)
        costs = [(n + longest) * len(choices) for n in tokens]
        return self._run({"call": "choices", "choices": list(choices)}, CHOICES, compute, prompts, costs, tokens)

    def losses(self, pairs: Sequence[tuple[str, str]]) -> pl.DataFrame | None:
        """Rows (total, n_tokens): loss of each (context, continuation), nats."""

        def compute(batch: Sequence[Any]) -> list[Row]:
            return _rows(self.model().losses([(context, text) for context, text in batch]), vars)

        costs = [n + 1 for n in self.tokens.count([context + text for context, text in pairs])]
        return self._run({"call": "losses"}, LOSSES, compute, [list(pair) for pair in pairs], costs)

    def span_losses(self, spans: Sequence[Span]) -> pl.DataFrame | None:
        """Rows (total, n_tokens): loss of the leading tokens of each text behind its context, nats."""

        def compute(batch: Sequence[Any]) -> list[Row]:
            return _rows(self.model().span_losses([(context, text, n) for context, text, n in batch]), vars)

        contexts = self.tokens.count([context for context, _, _ in spans])
        costs = [before + n for before, (_, _, n) in zip(contexts, spans, strict=True)]
        return self._run({"call": "span_losses"}, LOSSES, compute, [list(span) for span in spans], costs)

    def embeddings(self, texts: Sequence[str]) -> pl.DataFrame | None:
        """Rows (embedding: mean of the hidden states over the text's tokens, or what `engine.embedder` makes of the text)."""

        def compute(batch: Sequence[Any]) -> list[Row]:
            return _rows(self.embedder().embeddings(batch), lambda vector: {"embedding": vector})

        return self._run({"call": "embeddings"}, EMBEDDING, compute, texts, [n + 1 for n in self.tokens.count(texts)])

    def model(self) -> Model:
        """The loaded model."""
        if self._model is None:
            self._model = load_engine(self._project, self._engine, self._adapter, self._tokenizer, self.name)
        return self._model

    def embedder(self) -> Embedder:
        """What `engine.embedder` names, loaded; the model itself when it names nothing."""
        if not self._engine.embedder:
            return self.model()
        if self._encoder is None:
            self._encoder = load_encoder(self._engine)
        return self._encoder

    @property
    def model_name(self) -> str:
        """Name and fingerprint of the model, as tables of its results state it."""
        return model_name(self._project, self._engine, self._adapter)

    def _run(
        self,
        settings: dict[str, Any],
        schema: dict[str, Any],
        compute: Any,
        payloads: Sequence[Any],
        costs: list[int],
        tokens: list[int] | None = None,
    ) -> pl.DataFrame | None:
        encoded = settings["call"] == "embeddings" and self._engine.embedder
        asked = self.embedder if encoded else self.model

        def load() -> Any:
            asked()
            return compute

        own = encoder_identity(self._engine) if encoded else identity(self._project, self._engine, self._adapter)
        key = {"version": VERSION} | own | settings
        task = Task(self.name, key, schema, load, lambda: asked().gauge(), self._tell, self._pilot)
        results = run_task(task, payloads, costs, self._project.scratch, with_batches(self._engine), tokens)
        self.failures = failure_frame([task.failures.get(content_key(payload)) for payload in payloads])
        return results

    def _tell(self, work: Work) -> None:
        """Write reports/work/<name>.json anew, with this call and the stage's earlier ones."""
        self._work += work
        write_json(self._project.work(self.name), self._work.metrics(self.name))


def writing_stage(project: Project, name: str, engine: Engine, writer: str, pilot: Pilot | None = None) -> ModelStage:
    """A stage's use of the model that a parameter names by its path: models/teacher.json, models/base.json, models/chat."""
    path = PurePosixPath(writer)
    if path.suffix:
        return ModelStage(replace(project, pinned=path.stem), name, engine, None, pilot)
    return ModelStage(project, name, engine, path.name, pilot)


def failure_frame(failures: Sequence[Failure | None]) -> pl.DataFrame:
    """Columns `reason` and `value`, null where a row has not failed."""
    return pl.DataFrame(
        {
            "reason": [failure and failure.reason for failure in failures],
            "value": [failure and failure.detail for failure in failures],
        },
        schema=FAILURES,
    )


def _rows(results: Iterable[T | Failure], row: Callable[[T], dict[str, Any]]) -> list[Row]:
    return [result if isinstance(result, Failure) else row(result) for result in results]


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


def split_finished(
    frame: pl.DataFrame, results: pl.DataFrame, failures: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows joined side by side with their results; rows without a result come back as failed rows, with reason and value.

    `failures` is that of the ModelStage that made the results.
    """
    joined = pl.concat([frame.drop(set(results.columns) & set(frame.columns)), results], how="horizontal")
    failed = pl.all_horizontal(pl.col(results.columns).is_null())
    lost = pl.concat([frame, failures, results.select(failed.alias("failed"))], how="horizontal").filter("failed")
    return joined.filter(~failed), lost.with_columns(threshold=pl.lit(""))
