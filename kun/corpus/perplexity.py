"""How surprising each text is to the base model, or to a character model."""

from typing import Any

import polars as pl

from kun import processes
from kun.corpus.character_model import load_character_loss
from kun.params import Engine, Perplexity
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.stage import ModelStage, split_finished


def perplexity(project: Project, params: Perplexity, engine: Engine) -> dict[str, Any] | None:
    """Score every decontaminated text; data/perplexity. None on helper ranks.

    The loss is per token over the leading `max_tokens` tokens (0: all), so long and short texts compare. Tokens are those
    of the base model, or characters with `backend: kenlm`.
    """
    texts = read_dataset(project.dataset("decontaminated"))
    score = _by_characters if params.backend == "kenlm" else _by_model
    losses = score(project, params, engine, texts)
    if losses is None:
        return None
    scored, failed = split_finished(texts, losses.rename({"n_tokens": "n_scored"}))
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


def _by_model(project: Project, params: Perplexity, engine: Engine, texts: pl.DataFrame) -> pl.DataFrame | None:
    """Rows (total, n_tokens) by the base model; finished rows come from scratch."""
    stage = ModelStage(project, "perplexity", engine, adapter=None)
    leading = [_leading(text, n, params.max_tokens) for text, n in texts.select("text", "n_tokens").iter_rows()]
    return stage.losses([("", text) for text in leading])


def _by_characters(project: Project, params: Perplexity, engine: Engine, texts: pl.DataFrame) -> pl.DataFrame | None:
    """The same by a character model, in the main process alone: it is done before a second one has started."""
    if processes.rank() != 0:
        return None
    loss = load_character_loss(project.root / params.kenlm)
    losses = [loss(text[: params.max_tokens or None]) for text in texts["text"]]
    return pl.DataFrame(losses, schema={"total": pl.Float64, "n_tokens": pl.Int64}, orient="row")


def _leading(text: str, n_tokens: int, max_tokens: int) -> str:
    """The part of a text that holds about `max_tokens` tokens, cut by characters in proportion."""
    return text if not max_tokens or n_tokens <= max_tokens else text[: max(1, len(text) * max_tokens // n_tokens)]
