"""How surprising each text is to the base model, or to a character model."""

import time
from dataclasses import replace
from typing import Any

import polars as pl

from kun import processes
from kun.corpus.character_model import load_character_loss
from kun.params import Engine, Perplexity
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset, write_json
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, failure_frame, split_finished
from kun.work.telemetry import Work, peak_memory


def perplexity(
    project: Project, params: Perplexity, engine: Engine, pilot: Pilot | None = None
) -> dict[str, Any] | None:
    """Score every decontaminated text; data/perplexity. None on helper ranks and after a pilot.

    The loss is per token over the leading `max_tokens` tokens (0: all), so long and short texts compare. Tokens are those
    of the base model, or characters with `backend: kenlm`.
    """
    texts = read_dataset(project.dataset("decontaminated"))
    if params.backend == "kenlm":
        scores = _by_characters(project, params, texts)
    else:
        scores = _by_model(ModelStage(project, "perplexity", engine, adapter=None, pilot=pilot), params, texts)
    if scores is None:
        return None
    losses, failures = scores
    scored, failed = split_finished(texts, losses.rename({"n_tokens": "n_scored"}), failures)
    # Rounded: the last digits depend on which texts shared a batch, and would pass for new data with DVC.
    mean = (pl.col("total") / pl.col("n_scored")).round(4)
    return close_stage(
        project,
        "perplexity",
        "perplexity",
        texts.height,
        scored.with_columns(loss=mean, ppl=mean.exp()),
        [rejects(failed, "perplexity", status="failed")],
    )


Scores = tuple[pl.DataFrame, pl.DataFrame]
"""Rows (total, n_tokens), and why some have none."""


def _by_model(stage: ModelStage, params: Perplexity, texts: pl.DataFrame) -> Scores | None:
    """Scores by the base model; finished rows come from scratch."""
    leading = [_leading(text, n, params.max_tokens) for text, n in texts.select("text", "n_tokens").iter_rows()]
    losses = stage.losses([("", text) for text in leading])
    return None if losses is None else (losses, stage.failures)


def _by_characters(project: Project, params: Perplexity, texts: pl.DataFrame) -> Scores | None:
    """The same by a character model, in the main process alone: it is done before a second one has started."""
    if processes.rank() != 0:
        return None
    started = time.perf_counter()
    loss = load_character_loss(project.root / params.kenlm)
    losses = [loss(text[: params.max_tokens or None]) for text in texts["text"]]
    seconds = time.perf_counter() - started
    work = Work(rows=texts.height, measured=texts.height, seconds=seconds, device_seconds=seconds, processes=1)
    write_json(project.work("perplexity"), replace(work, memory=peak_memory(), device={"cpu"}).metrics("perplexity"))
    scored = pl.DataFrame(losses, schema={"total": pl.Float64, "n_tokens": pl.Int64}, orient="row")
    return scored, failure_frame([None] * scored.height)


def _leading(text: str, n_tokens: int, max_tokens: int) -> str:
    """The part of a text that holds about `max_tokens` tokens, cut by characters in proportion."""
    return text if not max_tokens or n_tokens <= max_tokens else text[: max(1, len(text) * max_tokens // n_tokens)]
