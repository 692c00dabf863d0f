"""Phase 1 of IFD (arXiv:2308.12032): the few pairs on which the base model gathers its brief experience before it scores.

Diverse by k-means over the prompts' embeddings; from each cluster prompts of middling perplexity.
"""

from typing import Any

import numpy as np
import polars as pl

from kun.engine.base import Tokens
from kun.params import Engine, Experience, Losses
from kun.project import Project
from kun.select.templates import template_of
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.stage import ModelStage, split_finished, within_context

STAGE = "experience/choose"


def choose(project: Project, params: Experience, losses: Losses, engine: Engine) -> dict[str, Any] | None:
    """Choose from data/mixed; data/experience/chosen. None on helper ranks."""
    pairs = read_dataset(project.dataset("mixed"))
    stage = ModelStage(project, STAGE, engine, adapter=None)
    fitting, too_long = within_context(pairs, _prompts(pairs, losses, stage.tokens), stage.tokens, losses.max_length)
    results, failures = _measured(stage, fitting["prompt"].to_list())
    if results is None:
        return None
    done, failed = split_finished(fitting, results, failures)
    chosen = brief_experience(done, params)
    told = done.join(chosen, on="id", how="left", maintain_order="left")
    left = told.filter(pl.col("reason").is_not_null()).with_columns(value=pl.col("ppl"), threshold=pl.lit(""))
    return close_stage(
        project,
        STAGE,
        "experience/chosen",
        pairs.height,
        told.filter(pl.col("reason").is_null()),
        [
            rejects(too_long, STAGE, excerpt="instruction"),
            rejects(left, STAGE, excerpt="instruction"),
            rejects(failed, STAGE, status="failed", excerpt="instruction"),
        ],
    )


def brief_experience(rows: pl.DataFrame, params: Experience) -> pl.DataFrame:
    """(id, cluster, reason) of rows with `id`, `embedding` and `ppl`; reason is null for the chosen, whatever their order."""
    from sklearn.cluster import KMeans

    if rows.is_empty():
        return pl.DataFrame(schema={"id": pl.String, "cluster": pl.Int64, "reason": pl.String})
    ordered = rows.select("id", "embedding", "ppl").sort("id")
    means = KMeans(min(params.clusters, rows.height), random_state=params.seed, n_init="auto")
    labels = means.fit_predict(np.array(ordered["embedding"].to_list()))
    clustered = ordered.select("id", "ppl", cluster=pl.Series(labels, dtype=pl.Int64))
    parts = [_middle(cluster, params) for cluster in clustered.partition_by("cluster")]
    return pl.concat(parts).select("id", "cluster", "reason")


def _middle(cluster: pl.DataFrame, params: Experience) -> pl.DataFrame:
    """With the reason why a row is not taken: a small cluster is taken whole, of others even steps through the band."""
    if cluster.height <= params.per_cluster:
        return cluster.with_columns(reason=pl.lit(None, pl.String))
    low, high = np.quantile(cluster["ppl"], [params.low_percentile, params.high_percentile])
    middle = cluster.filter(pl.col("ppl").is_between(low, high)).sort("ppl", "id")
    step = max(1, middle.height // params.per_cluster)
    taken = middle.gather_every(step).head(params.per_cluster)
    reason = (
        pl.when(pl.col("ppl").is_between(low, high)).then(pl.lit("between_steps")).otherwise(pl.lit("outside_band"))
    )
    return cluster.with_columns(reason=pl.when(~pl.col("id").is_in(taken["id"].to_list())).then(reason))


def _prompts(pairs: pl.DataFrame, losses: Losses, tokens: Tokens) -> list[str]:
    template = template_of(losses, tokens)
    return [template.prompt(*row) for row in pairs.select("instruction", "input").iter_rows()]


def _measured(stage: ModelStage, prompts: list[str]) -> tuple[pl.DataFrame | None, pl.DataFrame]:
    """(embedding, ppl) of each prompt, null where either failed, and why; None on helper ranks.

    The embedding is the mean of the last hidden states; the beginning token, alike in all, does not count.
    """
    begin = stage.tokens.begin()
    vectors = stage.embeddings([prompt.removeprefix(begin) for prompt in prompts])
    failures = stage.failures
    spans = zip(prompts, stage.tokens.count(prompts), strict=True)
    told = stage.span_losses([("", prompt, n) for prompt, n in spans])
    if vectors is None or told is None:
        return None, failures
    both = pl.concat(
        [vectors, told.select(ppl=(pl.col("total") / pl.col("n_tokens")).round(4).exp())], how="horizontal"
    )
    whole = pl.all_horizontal(pl.all().is_not_null())
    why = {name: pl.coalesce(failures[name], stage.failures[name]) for name in failures.columns}
    return both.select(pl.when(whole).then(pl.all())), failures.with_columns(**why)
