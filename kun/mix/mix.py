"""data/sources/* -> data/mixed: the pairs of all methods, each request once, in the order and the shares that people want."""

from typing import Any

import polars as pl

from kun.corpus.neardup import without_near_duplicates
from kun.params import Mix
from kun.project import Project
from kun.schemas import PAIR
from kun.tables.draw import turn
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, split_by_rules
from kun.tables.shards import read_dataset

STAGE = "mix"
SEED = 7  # of the signatures


def mix(project: Project, params: Mix) -> dict[str, Any]:
    """Drop repeated ids and requests, then what is over a cap or the limit; returns the counts, also `by_origin`.

    Rows stand in the order of `mix.sources`, those of a source as they stood there.
    """
    tables = [
        read_dataset(project.dataset(f"sources/{name}")).with_columns(mixed_from=pl.lit(name))
        for name in params.sources
    ]
    pairs = pl.concat([pl.DataFrame(schema=PAIR | {"mixed_from": pl.String}), *tables])
    new = split_by_rules(pairs, {"duplicate_id": Rule(pl.col("id").is_first_distinct(), pl.col("id"), "once")})
    requests = [f"{instruction}\n{given}" for instruction, given in new.kept.select("instruction", "input").iter_rows()]
    different, again = without_near_duplicates(new.kept, requests, params.dup_threshold, SEED)
    capped = split_by_rules(different, _caps(params))
    limited = split_by_rules(capped.kept, _limit(params))
    dropped = [new.dropped, again, capped.dropped, limited.dropped]
    return close_stage(
        project,
        STAGE,
        "mixed",
        pairs.height,
        limited.kept,
        [rejects(part, STAGE, excerpt="instruction") for part in dropped],
        by_origin=dict(limited.kept.group_by("mixed_from", maintain_order=True).len().iter_rows()),
    )


def _caps(params: Mix) -> dict[str, Rule]:
    """`cap`: the first of each source in the order of their turns."""
    if not params.caps:
        return {}
    place = turn(pl.lit(1.0)).rank("ordinal").over("mixed_from")
    most = pl.col("mixed_from").replace_strict(params.caps, default=None, return_dtype=pl.Int64)
    return {"cap": Rule((place <= most).fill_null(True), pl.format("{} of {}", place, "mixed_from"), params.caps)}


def _limit(params: Mix) -> dict[str, Rule]:
    if not params.limit:
        return {}
    weight = pl.col("mixed_from").replace_strict(params.weights, default=1.0, return_dtype=pl.Float64)
    place = turn(weight).rank("ordinal")
    return {"limit": Rule(place <= params.limit, place, params.limit)}
