"""The stages behind the models, under other limits: pairs, mix and select."""

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import polars as pl

from kun.backtranslate import pairs
from kun.corpus.evals import EvalGrams
from kun.errors import ConfigError
from kun.mix.mix import ids_once, requests_once, together, within_limits
from kun.params import Params, Select
from kun.params.choice import Amount, Loss
from kun.project import Project
from kun.schemas.pairs import PAIR
from kun.schemas.schema import conform
from kun.select.choose import Choice, choose
from kun.select.ranking import used_scores
from kun.votes.store import votes_folder
from kun.whatif.again import Reconsidered, Rows, reconsider
from kun.whatif.stored import Stored
from kun.whatif.texts import evals
from kun.work.pilot import Pilot

PAIRS = 5_000
"""Pairs that every rule sees in two or three seconds."""
REQUESTS = 40_000
"""Requests among which repeats are found in two or three seconds."""


def again_pairs(stored: Stored, old: Params, new: Params) -> Reconsidered:
    """Under other limits of `pairs` and another `judge.threshold`; what is gained is in the schema of pairs."""
    none = EvalGrams([], 1)

    def of_kept(rows: pl.DataFrame, wanted: Collection[str]) -> pl.DataFrame:
        rows = rows.rename({"output": "answer"}).with_columns(finish=pl.lit("stop"))
        return pairs.features(rows, none, wanted)

    def of_dropped(rows: pl.DataFrame) -> pl.DataFrame:
        known = evals(stored.project, new) if rows.height else none
        joined = rows.lazy()
        for dataset, column in (("instructions", "instruction"), ("corpus", "source")):
            joined = joined.join(stored.scan(dataset).select("id", column), on="id", how="left", maintain_order="left")
        return pairs.with_features(joined.collect(), known)

    polished = stored.scan("polished").join(stored.scan("judged").select("id", "p_good"), on="id", how="left")
    source = Rows(
        "pairs",
        stored,
        stored.scan("pairs"),
        ["p_good", "support", "finish", "instruction", "length", "cjk"],
        of_kept,
        polished,
        ["p_good", "support", "finish"],
        of_dropped,
        PAIRS,
    )
    found = reconsider(source, pairs.rules(old.pairs, old.judge), pairs.rules(new.pairs, new.judge))
    return replace(found, gained=conform(pairs.finished(found.gained, new.ingest), PAIR))


def sources(
    stored: Stored, old: Params, new: Params, gone: pl.LazyFrame, gained: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """The pairs of each source of the mix, those of the main line without what is gone and with what is gained."""
    tables = {}
    for name, wanted in new.mix.sources.items():
        known = name in old.mix.sources and old.mix.sources[name] == wanted
        rows = conform(stored.read(f"sources/{name}") if known else stored.folder(wanted.pairs), PAIR)
        if wanted.pairs == "data/pairs":
            stay = rows.lazy().join(gone, on="id", how="anti", maintain_order="left").collect()
            rows = _in_order(stored, pl.concat([stay, gained])) if gained.height else stay
        tables[name] = rows
    return tables


def _in_order(stored: Stored, rows: pl.DataFrame) -> pl.DataFrame:
    """As the stage `pairs` would have them."""
    order = stored.read("polished", ["id"])
    return order.join(rows, on="id", how="inner", maintain_order="left").select(list(PAIR))


def again_mix(
    stored: Stored, params: Params, tables: dict[str, pl.DataFrame], compare: bool
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The mixed pairs with `mixed_from`, and the others with reason.

    Without `compare` the pairs that repeated another still do, and no other does.
    """
    scaled = replace(
        params.mix,
        limit=stored.scaled(params.mix.limit),
        caps={name: stored.scaled(cap) for name, cap in params.mix.caps.items()},
    )
    new = ids_once(together(tables))
    if compare:
        different, again = requests_once(new.kept, scaled)
    else:
        told = (
            stored.ledger("mix").filter(reason="near_duplicate").select("id", "reason", "value", "threshold").collect()
        )
        again = new.kept.join(told, on="id", maintain_order="left")
        different = new.kept.join(told, on="id", how="anti", maintain_order="left")
    kept, beyond = within_limits(different, scaled)
    return kept, [new.dropped, again, *beyond]


def lost_twins(stored: Stored, lost: pl.LazyFrame, stage: str) -> int:
    """Rows that a stage dropped for repeating one that would be lost."""
    repeats = pl.col("reason").is_in(["near_duplicate", "exact_duplicate"])
    told = stored.ledger(stage).filter(repeats).select(id=pl.col("value").str.extract(r"(?:with|same as) (\S+)$"))
    return int(told.join(lost.select("id"), on="id", how="semi").select(pl.len()).collect().item())


def again_select(stored: Stored, params: Params, mixed: pl.DataFrame) -> tuple[Choice, int]:
    """What would be released of the mixed pairs, and how many cannot be ranked for want of losses.

    ConfigError when the most diverse rows are asked for and some of the pool have no embedding yet.
    """
    losses = stored.read("losses")
    unscored = 0
    if set(used_scores(params.select)) & set(get_args(Loss)):
        scored = mixed.join(losses.select("id"), on="id", how="semi", maintain_order="left")
        unscored, mixed = mixed.height - scored.height, scored
    wanted = _scaled(stored, params.select)
    with _elsewhere(stored.project) as project:
        pilot, known = Pilot(0), partial(evals, stored.project, params)
        if (choice := choose(project, wanted, params.engine, mixed, losses, known, pilot)) is None:
            if pilot.rest:
                raise ConfigError(
                    f"select.diversity needs the embeddings of {len(pilot.costs):,} pairs, and {len(pilot.rest):,} have none "
                    "yet; `dvc exp run -S ...` computes them, and what-if answers from then on"
                )
            choice = choose(project, wanted, params.engine, mixed, losses, known)
    assert choice is not None, "every row is in scratch"
    return choice, unscored


def _scaled(stored: Stored, params: Select) -> Select:
    """Numbers of rows as they are for a sample."""

    def scaled(amount: Amount) -> Amount:
        return stored.scaled(amount) if isinstance(amount, int) else amount

    quotas = {name: scaled(quota) for name, quota in params.quotas.items()}
    diversity = replace(params.diversity, pool=scaled(params.diversity.pool))
    return replace(params, top=scaled(params.top), quotas=quotas, diversity=diversity)


@contextmanager
def _elsewhere(project: Project) -> Iterator[Project]:
    """A project that has base model, votes and scratch of this one, and a place of its own for what a stage writes."""
    with tempfile.TemporaryDirectory() as place:
        other = Project(Path(place), kept_in=project.scratch)
        if project.base.is_file():
            other.base.parent.mkdir(parents=True)
            shutil.copy(project.base, other.base)
        if (votes := votes_folder(project)).is_dir():
            shutil.copytree(votes, votes_folder(other))
        yield other
