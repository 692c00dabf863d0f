"""Asking a model until its reply can be used: a bounded number of times, each with a new seed, and never without a reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from kun.engine.base import Sampling
from kun.engine.records import Refusal
from kun.glan.names import seed_of
from kun.params import Glan
from kun.work.stage import ModelStage

Parse = Callable[[dict[str, Any], str, str], Any]
"""(row, text, finish) -> what the reply says, or a Refusal."""


@dataclass(frozen=True)
class Told:
    """What became of the rows that were asked for."""

    rows: pl.DataFrame
    """With a reply that can be used: their columns, and `text`, `finish`, `n_new`."""
    replies: list[Any]
    """What was read from each of them."""
    failed: pl.DataFrame
    """The others, with `text` (the last reply, raw), `reason`, `value`, `threshold`."""


def record_sampling(params: Glan) -> Sampling:
    """How lists and syllabi are put into records; without a penalty, which would fall on the signs of JSON."""
    return Sampling(params.record_tokens, params.record_temperature, params.top_p, seed=params.seed)


def ask(
    stage: ModelStage, rows: pl.DataFrame, sampling: Sampling, parse: Parse, attempts: int, schema: str = ""
) -> Told | None:
    """Reply to each row's `prompt`, held to `schema` when there is one; None on helper ranks and in a pilot.

    A column `seed` tells rows of equal prompts apart.

    A helper rank does not know which rows are asked again, so it stands by with all of them, as often as the main rank asks.
    """
    named = list(rows.iter_rows(named=True))
    texts: list[dict[str, Any]] = [{}] * len(named)
    found: list[Any] = [None] * len(named)
    waiting = list(range(len(named)))
    results = None
    for attempt in range(attempts):
        prompts = [named[place]["prompt"] for place in waiting]
        schemas = [schema] * len(prompts) if schema else []
        seeds = (
            [seed_of(named[place]["seed"], "attempt", attempt) for place in waiting] if "seed" in rows.columns else []
        )
        drawn = replace(sampling, seed=seed_of(sampling.seed, "attempt", attempt))
        results = stage.generate(prompts, drawn, schemas, seeds)
        if results is None:
            continue
        failures = stage.failures.to_dicts()
        for place, reply, failure in zip(waiting, results.to_dicts(), failures, strict=True):
            texts[place] = reply
            found[place] = _read(named[place], reply, failure, parse)
        waiting = [place for place in waiting if isinstance(found[place], Refusal) and texts[place]["text"] is not None]
    return None if results is None else _told(rows, texts, found, attempts)


def _read(row: dict[str, Any], reply: dict[str, Any], failure: dict[str, Any], parse: Parse) -> Any:
    if reply["text"] is None:
        return Refusal(failure["reason"] or "no_result", failure["value"] or "")
    return parse(row, reply["text"], reply["finish"])


def _told(rows: pl.DataFrame, texts: Sequence[dict[str, Any]], found: list[Any], attempts: int) -> Told:
    schema = {"text": pl.String, "finish": pl.String, "n_new": pl.Int64}
    joined = rows.hstack(pl.DataFrame(list(texts), schema=schema))
    refused = [isinstance(one, Refusal) for one in found]
    faults = [one for one in found if isinstance(one, Refusal)]
    failed = joined.filter(pl.Series(refused, dtype=pl.Boolean)).with_columns(
        pl.Series("reason", [fault.reason for fault in faults], dtype=pl.String),
        pl.Series("value", [fault.detail for fault in faults], dtype=pl.String),
        pl.col("text").fill_null(""),
        threshold=pl.lit(f"{attempts} attempts"),
    )
    usable = joined.filter(~pl.Series(refused, dtype=pl.Boolean))
    return Told(usable, [one for one in found if not isinstance(one, Refusal)], failed)
