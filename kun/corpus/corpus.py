"""Which texts go to the models: those in the perplexity band of their source, each meaning once, a fair sample of them."""

from typing import Any

import polars as pl

from kun import processes
from kun.corpus.meaning import same_meaning
from kun.corpus.text import by_source
from kun.params import Corpus, Engine
from kun.project import Project
from kun.tables.draw import first_of_turns
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, Split, split_by_rules
from kun.tables.shards import read_dataset, write_json
from kun.tables.sources import warn_unknown
from kun.work.stage import ModelStage, split_finished
from kun.work.telemetry import Work

STAGE = "corpus"


def corpus(project: Project, params: Corpus, engine: Engine) -> dict[str, Any] | None:
    """Choose among the scored texts; data/corpus. None on helper ranks, which only help to embed."""
    texts = read_dataset(project.dataset("decontaminated"))
    scores = read_dataset(project.dataset("perplexity"), ["id", "ppl"])
    scored = texts.join(scores, on="id", how="left", maintain_order="left")
    band = split_by_rules(scored, band_rules(params))
    different, rejected = band.kept, [rejects(band.dropped, STAGE)]
    if not params.semantic_threshold:
        write_json(project.work(STAGE), Work().metrics(STAGE))  # DVC looks for it whether a model worked or not
    else:
        told = _each_meaning_once(project, params.semantic_threshold, engine, band.kept)
        if told is None:
            return None
        different, again = told
        rejected += again
    if processes.rank() != 0:
        return None
    warn_unknown("corpus.weights", params.weights, texts["source"].unique())
    sample = within_limit(different, params)
    return close_stage(project, STAGE, STAGE, texts.height, sample.kept, [*rejected, rejects(sample.dropped, STAGE)])


def band_rules(params: Corpus) -> dict[str, Rule]:
    """Percentiles per source, because 10 is low for news and high for recipes."""
    enough = pl.len().over("source") >= params.min_rows
    low = pl.col("ppl").quantile(params.low_percentile).over("source")
    high = pl.col("ppl").quantile(params.high_percentile).over("source")
    return {
        "perplexity_unknown": Rule(pl.col("ppl").is_not_null(), pl.lit("")),
        "perplexity_low": Rule((pl.col("ppl") >= low) | ~enough, pl.col("ppl").round(2), params.low_percentile),
        "perplexity_high": Rule((pl.col("ppl") <= high) | ~enough, pl.col("ppl").round(2), params.high_percentile),
    }


def within_limit(texts: pl.DataFrame, params: Corpus) -> Split:
    """The first `limit` texts in the order of their turns, and the others with their place in it; all when there is no limit."""
    limit = {"limit": Rule(pl.col("place") <= params.limit, pl.col("place"), params.limit)} if params.limit else {}
    return first_of_turns(texts, limit, by_source(params.weights, 1.0, pl.Float64))


def _each_meaning_once(
    project: Project, threshold: float, engine: Engine, texts: pl.DataFrame
) -> tuple[pl.DataFrame, list[pl.DataFrame]] | None:
    """Texts of which no earlier one says the same, and the ledger of the others; None on helper ranks."""
    stage = ModelStage(project, STAGE, engine, adapter=None)
    vectors = stage.embeddings(texts["text"].to_list())
    if vectors is None:
        return None
    embedded, failed = split_finished(texts, vectors, stage.failures)
    ids = embedded["id"]
    hidden = len(embedded["embedding"][0]) if embedded.height else 0
    twins = same_meaning(embedded["embedding"].list.to_array(hidden).to_numpy(), threshold)
    places = [twin.row for twin in twins]
    again = embedded[places].with_columns(
        reason=pl.lit("semantic_duplicate"),
        value=pl.Series([f"cosine {twin.similarity:.3f} with {ids[twin.kept]}" for twin in twins], dtype=pl.String),
        threshold=pl.lit(str(threshold)),
    )
    kept = embedded.drop("embedding").filter(~pl.int_range(pl.len()).is_in(places))
    return kept, [rejects(again, STAGE), rejects(failed, STAGE, status="failed")]
