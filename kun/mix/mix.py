"""data/sources/* -> data/mixed: the pairs of all methods, each request once, in the order and the shares that people want."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from kun.corpus.neardup import without_near_duplicates
from kun.params import Mix
from kun.project import Project
from kun.schemas.pairs import PAIR
from kun.tables.draw import first_of_turns
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, Split, split_by_rules
from kun.tables.shards import read_dataset

STAGE = "mix"
SEED = 7  # of the signatures


def mix(project: Project, params: Mix) -> dict[str, Any]:
    """Drop repeated ids and requests, then what is over a cap or the limit; returns the counts, also `by_origin`.

    Rows stand in the order of `mix.sources`, those of a source as they stood there.
    """
    pairs = together({name: read_dataset(project.dataset(f"sources/{name}")) for name in params.sources})
    new = ids_once(pairs)
    different, again = requests_once(new.kept, params)
    kept, beyond = within_limits(different, params)
    return close_stage(
        project,
        STAGE,
        "mixed",
        pairs.height,
        kept,
        [rejects(part, STAGE, excerpt="instruction") for part in (new.dropped, again, *beyond)],
        by_origin=dict(kept.group_by("mixed_from", maintain_order=True).len().iter_rows()),
    )


def together(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The pairs of all sources, in their order, with `mixed_from`."""
    named = [table.with_columns(mixed_from=pl.lit(name)) for name, table in tables.items()]
    return pl.concat([pl.DataFrame(schema=PAIR | {"mixed_from": pl.String}), *named])


def ids_once(pairs: pl.DataFrame) -> Split:
    """Each id where it first stands."""
    return split_by_rules(pairs, {"duplicate_id": Rule(pl.col("id").is_first_distinct(), pl.col("id"), "once")})


def requests_once(pairs: pl.DataFrame, params: Mix) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The pairs that ask what none before has asked, and the others with reason."""
    requests = [f"{instruction}\n{given}" for instruction, given in pairs.select("instruction", "input").iter_rows()]
    return without_near_duplicates(pairs, requests, params.dup_threshold, SEED)


def within_limits(pairs: pl.DataFrame, params: Mix) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """What the caps of the sources leave, then the limit of all together; and the others with reason."""
    capped = first_of_turns(pairs, _caps(params), pl.lit(1.0), over="mixed_from")
    weight = pl.col("mixed_from").replace_strict(params.weights, default=1.0, return_dtype=pl.Float64)
    limit = {"limit": Rule(pl.col("place") <= params.limit, pl.col("place"), params.limit)} if params.limit else {}
    limited = first_of_turns(capped.kept, limit, weight)
    return limited.kept, [capped.dropped, limited.dropped]


def _caps(params: Mix) -> dict[str, Rule]:
    """`cap`: the first of each source in the order of their turns."""
    if not params.caps:
        return {}
    most = pl.col("mixed_from").replace_strict(params.caps, default=None, return_dtype=pl.Int64)
    within = (pl.col("place") <= most).fill_null(True)
    return {"cap": Rule(within, pl.format("{} of {}", "place", "mixed_from"), params.caps)}
