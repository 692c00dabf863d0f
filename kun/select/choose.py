"""Which pairs are released: filters, a ranking, the top of it, on request as different from each other as can be.

Pairs and losses are there already, so moving any knob costs no model work but for the embeddings of a new pool.
"""

import shutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import polars as pl

from kun import processes
from kun.corpus.evals import EvalGrams
from kun.corpus.meaning import telling_directions
from kun.errors import ConfigError
from kun.params import Diversity, Engine, Select
from kun.project import Project
from kun.schemas.select import SELECTED
from kun.select.diversity import Vectors, cluster_quotas, facility_location, k_center
from kun.select.ranking import amount, arm, filter_rules, ranked, scored, used_scores, within_quotas, without_repeats
from kun.select.voted import apply_votes, spared
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, Split, split_by_rules
from kun.tables.shards import read_dataset, write_dataset, write_json
from kun.tables.sources import warn_unknown
from kun.votes.store import read_votes, votes_folder
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, split_finished
from kun.work.telemetry import Work

STAGE = "select"


def select(project: Project, params: Select, engine: Engine, evals: Callable[[], EvalGrams]) -> dict[str, Any] | None:
    """Choose among data/mixed; data/selected and data/arms. None on helper ranks, which only help to embed.

    Of the rows that pass the filters, repeat no better one and fit their quota, `top` of all rows are kept, or all if they
    are fewer: the first of the ranking, or the most diverse of the pool of its first. Votes come before all of that, and
    the rows that they protect take their places before others are chosen. `evals` reads what no edit may quote.
    """
    pairs = read_dataset(project.dataset("mixed"))
    choice = choose(project, params, engine, pairs, read_dataset(project.dataset("losses")), evals)
    if choice is None or processes.rank() != 0:
        return None
    warn_unknown("select.quotas", params.quotas, pairs["source"].unique())
    if not choice.embedded:
        write_json(project.work(STAGE), Work().metrics(STAGE))  # DVC looks for it whether a model worked or not
    _write_arms(project, params, pairs, choice)
    return close_stage(
        project,
        STAGE,
        "selected",
        pairs.height,
        choice.kept,
        [
            *(rejects(part, STAGE, excerpt="instruction") for part in choice.dropped),
            rejects(choice.failed, STAGE, status="failed", excerpt="instruction"),
        ],
        asked=choice.asked,
        qualified=choice.qualified,
        votes=choice.votes,
    )


class Choice(NamedTuple):
    """What is released of some pairs, and what is not."""

    kept: pl.DataFrame
    """In the order of the pairs, with scores and `rank`."""
    dropped: list[pl.DataFrame]
    """With reason, by each step in turn."""
    failed: pl.DataFrame
    """Rows without embedding, with reason."""
    passed: pl.DataFrame
    """All that pass the filters: what the arms are taken from."""
    asked: int
    qualified: int
    """Rows that pass the filters, repeat no other and fit their quota."""
    embedded: bool
    """A model was asked."""
    votes: dict[str, int]
    """What became of them."""


def choose(
    project: Project,
    params: Select,
    engine: Engine,
    pairs: pl.DataFrame,
    losses: pl.DataFrame,
    evals: Callable[[], EvalGrams],
    pilot: Pilot | None = None,
) -> Choice | None:
    """Choose among `pairs` by their scores; writes nothing. None on helper ranks, and after a pilot where a model is asked."""
    voted = apply_votes(pairs, read_votes(votes_folder(project)), params.votes, evals)
    rows = scored(voted.rows, losses)
    _check_scores(rows, params)
    count = amount(params.top, pairs.height)
    passed = split_by_rules(rows, spared(filter_rules(params)))
    fitting, unfit = _in_order(passed.kept, params, count)
    sure, others = fitting.filter("protected"), fitting.filter(~pl.col("protected"))
    wanted = max(0, count - sure.height)
    pool = _pool(project, params, engine, others, wanted, pairs.height, pilot)
    if pool is None:
        return None
    chosen = _chosen(pool.rows, params, wanted)
    first = chosen.kept.with_columns(pl.col("rank") + sure.height)
    kept = pairs.select("id").join(pl.concat([sure, first], how="diagonal"), on="id", maintain_order="left")
    dropped = [voted.out, passed.dropped, *unfit, pool.outside, chosen.dropped]
    embedded = "embedding" in pool.rows.columns
    return Choice(kept, dropped, pool.failed, passed.kept, count, fitting.height, embedded, voted.counts)


def _in_order(rows: pl.DataFrame, params: Select, count: int) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Rows that repeat no better one and fit their quota, the protected first, and the others with their reason.

    `rank` counts from 1 among the protected, and again among the rest. What is protected leaves for neither cause, but a
    row that repeats it does, and its quota is used up by it.
    """
    in_order = ranked(rows, params.rank, params.seed).sort("protected", descending=True, maintain_order=True)
    repeated = _repeated(in_order, params)
    unique = in_order.join(repeated, on="id", how="anti", maintain_order="left")
    beyond = within_quotas(unique, params.quotas, count).dropped.filter(~pl.col("protected"))
    fitting = unique.join(beyond, on="id", how="anti", maintain_order="left")
    place = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("protected")
    return fitting.with_columns(rank=place), [repeated, beyond]


def _repeated(in_order: pl.DataFrame, params: Select) -> pl.DataFrame:
    """Rows that repeat one before and are not protected, with their reason; the protected come first."""
    found = []
    while True:
        others, repeats = without_repeats(in_order, params.dup_threshold, params.seed)
        found.append(repeats.filter(~pl.col("protected")))
        again = repeats.filter("protected")  # they stay, so what repeats them goes
        if again.is_empty():
            return pl.concat(found)
        in_order = pl.concat([again.select(in_order.columns), others.filter(~pl.col("protected"))])


class Pool(NamedTuple):
    """What the most diverse rows are chosen from."""

    rows: pl.DataFrame
    """With `embedding`, unless all of them stay or the ranking alone decides."""
    outside: pl.DataFrame
    """Rows of a lower rank, with reason."""
    failed: pl.DataFrame
    """Rows without embedding, with reason."""


def _check_scores(rows: pl.DataFrame, params: Select) -> None:
    for score in used_scores(params):
        if rows.height and rows[score].null_count() == rows.height:
            raise ConfigError(
                f"params.yaml: select uses {score}, which no pair has; see the section losses, or take another score"
            )


def _pool(
    project: Project,
    params: Select,
    engine: Engine,
    rows: pl.DataFrame,
    count: int,
    rows_in: int,
    pilot: Pilot | None,
) -> Pool | None:
    """The pool for `count` of the ranked rows; None on helper ranks where a model had to be asked."""
    size = max(count, amount(params.diversity.pool, rows_in))
    if params.diversity.method == "none" or not 0 < count < min(size, rows.height):
        nothing = split_by_rules(rows, {}).dropped
        return Pool(rows, nothing, nothing)
    split = split_by_rules(rows, _place_rule("pool", size))
    inside = split.kept.sort("id")
    stage = ModelStage(project, STAGE, engine, adapter=None, pilot=pilot)
    vectors = stage.embeddings([pair_text(row) for row in inside.iter_rows(named=True)])
    if vectors is None:
        return None
    embedded, failed = split_finished(inside, vectors, stage.failures)
    return Pool(embedded, split.dropped, failed)


def pair_text(pair: Mapping[str, Any]) -> str:
    """What is embedded of a pair (arXiv:2402.00530): instruction, input if any, answer, a line each."""
    return "\n".join(pair[name] for name in ("instruction", "input", "output") if pair[name])


def _chosen(pool: pl.DataFrame, params: Select, count: int) -> Split:
    """`count` rows of the pool with their `rank`, and the others."""
    if "embedding" not in pool.columns:
        return split_by_rules(pool, _place_rule("top", count))
    order = diverse(_vectors(pool), pool, params.diversity, count, params.seed)
    places = pl.DataFrame(
        {"id": pool["id"][order], "chosen": range(1, len(order) + 1)}, schema_overrides={"chosen": pl.Int64}
    )
    marked = pool.drop("embedding").join(places, on="id", how="left", maintain_order="left")
    split = split_by_rules(
        marked, {"diversity": Rule(pl.col("chosen").is_not_null(), pl.format("rank {}", "rank"), count)}
    )
    return Split(split.kept.with_columns(rank="chosen"), split.dropped)


def diverse(vectors: Vectors, rows: pl.DataFrame, params: Diversity, count: int, seed: int) -> list[int]:
    """Places of the `count` rows that the method chooses, in its order; `rows` have a `rank`."""
    if params.method == "facility":
        return facility_location(vectors, count, seed)
    if params.method == "kcenter":
        return k_center(vectors, count)
    return cluster_quotas(vectors, rows["rank"].to_numpy(), count, params.clusters, seed)


def _vectors(rows: pl.DataFrame) -> Vectors:
    hidden = len(rows["embedding"][0]) if rows.height else 0
    return telling_directions(rows["embedding"].list.to_array(hidden).to_numpy())


def _place_rule(name: str, most: int) -> dict[str, Rule]:
    return {name: Rule(pl.col("rank") <= most, pl.format("rank {}", "rank"), f"<= {most}")}


def _write_arms(project: Project, params: Select, pairs: pl.DataFrame, choice: Choice) -> None:
    """data/arms/<name>, and data/arms/arms.json, which is there without arms too: DVC wants an output."""
    folder, passed, count = project.dataset("arms"), choice.passed, choice.kept.height
    shutil.rmtree(folder, ignore_errors=True)
    for name in params.arms:
        rows = arm(passed, name, count, params.rank, params.seed)
        in_order = pairs.select("id").join(rows, on="id", maintain_order="left")
        write_dataset(folder / name, in_order, SELECTED)
    write_json(folder / "arms.json", {"rows": count, "from": passed.height, "arms": list(dict.fromkeys(params.arms))})
