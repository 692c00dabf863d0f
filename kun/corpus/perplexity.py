"""How surprising each text is to the base or a character model, and which texts lie in the band that goes on to the models."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from kun import processes
from kun.corpus.character_model import load_character_loss
from kun.corpus.text import by_source
from kun.params import Corpus, Engine, Perplexity
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, split_by_rules
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


def corpus(project: Project, params: Corpus) -> dict[str, Any]:
    """Keep the texts inside the perplexity band of their source, up to `limit`; data/corpus."""
    texts = read_dataset(project.dataset("decontaminated"))
    scores = read_dataset(project.dataset("perplexity"), ["id", "ppl"])
    scored = texts.join(scores, on="id", how="left", maintain_order="left")
    split = split_by_rules(scored, band_rules(params))
    return close_stage(project, "corpus", "corpus", texts.height, split.kept, [rejects(split.dropped, "corpus")])


def band_rules(params: Corpus) -> dict[str, Rule]:
    """Percentiles per source, because 10 is low for news and high for recipes; the limit counts rows that pass."""
    enough = pl.len().over("source") >= params.min_rows
    low = pl.col("ppl").quantile(params.low_percentile).over("source")
    high = pl.col("ppl").quantile(params.high_percentile).over("source")
    inside = (pl.col("ppl") >= low) & (pl.col("ppl") <= high)
    place = pl.when(pl.col("ppl").is_not_null() & (inside | ~enough)).then(_turn(params.weights)).rank("ordinal")
    rules = {
        "perplexity_unknown": Rule(pl.col("ppl").is_not_null(), pl.lit("")),
        "perplexity_low": Rule((pl.col("ppl") >= low) | ~enough, pl.col("ppl").round(2), params.low_percentile),
        "perplexity_high": Rule((pl.col("ppl") <= high) | ~enough, pl.col("ppl").round(2), params.high_percentile),
    }
    return rules | ({"limit": Rule(place <= params.limit, place, params.limit)} if params.limit else {})


def _turn(weights: Mapping[str, float]) -> pl.Expr:
    """When a text is drawn: an exponential waiting time with the weight as its rate, fixed by the id, a hash.

    The first N of these are a weighted sample without replacement (Efraimidis and Spirakis 2006); with equal weights it
    is the order of the ids. 52 bits of an id: what a float tells apart below 1.
    """
    drawn = pl.col("id").str.head(13).str.to_integer(base=16) / 2**52
    return -(1 - drawn).log() / by_source(weights, 1.0, pl.Float64)


def _leading(text: str, n_tokens: int, max_tokens: int) -> str:
    """The part of a text that holds about `max_tokens` tokens, cut by characters in proportion."""
    return text if not max_tokens or n_tokens <= max_tokens else text[: max(1, len(text) * max_tokens // n_tokens)]
