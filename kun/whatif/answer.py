"""What other parameters would do to the release: rows, mix, lengths, examples."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import polars as pl

from kun.config import read_tree
from kun.params import Params
from kun.project import Project
from kun.whatif.chain import DATASETS, SEEN, VERDICT, Chain, run_chain
from kun.whatif.scope import NO_ROWS, check_answerable, why_not
from kun.whatif.settings import Setting, moved_since
from kun.whatif.stored import Stored, TooMany
from kun.whatif.work import Waiting, waiting
from kun.work.pilot import Estimate, share

ENOUGH = 30
"""Rows of the release in a sample from which on they say how many rows of all one stands for."""
BANDS = (50, 100, 200, 400, 800)
"""Characters of an answer."""
EXAMPLES = 10


@dataclass(frozen=True)
class Step:
    """One stage, today and under the settings."""

    stage: str
    before: int
    after: int
    waiting: int
    """Of `after`, rows that a model has not seen yet: they go no further here."""


@dataclass(frozen=True)
class Answer:
    """All that `kun what-if` tells; numbers of rows are those of the whole project."""

    settings: list[Setting]
    sample: float
    """Share of the rows that were looked at; 1: all, and every number is exact."""
    steps: list[Step]
    before: int
    after: Estimate
    gained: int
    lost: int
    reasons: list[dict[str, Any]]
    """Of the lost rows: stage, reason, rows."""
    sources: list[dict[str, Any]]
    """source, before, after."""
    lengths: list[dict[str, Any]]
    """Characters of the answer: chars ("100-199"), before, after."""
    examples: dict[str, list[dict[str, Any]]]
    """`gained` and `lost`: rows with stage, reason, value and threshold that they had, or would have."""
    work: list[Waiting]
    notes: list[str]


def answer(project: Project, old: Params, new: Params, settings: Sequence[Setting], exact: bool = False) -> Answer:
    """Run the rules again over what is stored; nothing is written. ConfigError for what stored data do not tell."""
    check_answerable(settings)
    stored = Stored(project, exact=exact)
    while True:
        try:
            return _told(run_chain(stored, old, new, settings), list(settings))
        except TooMany as too_many:
            stored = Stored(project, too_many.share)


def _told(chain: Chain, settings: list[Setting]) -> Answer:
    stored, now = chain.stored, chain.released
    assert now is not None
    then, chosen = stored.scan("selected").select(SEEN).collect(), now.select(SEEN)
    gained, lost = chosen.join(then, on="id", how="anti"), then.join(chosen, on="id", how="anti")
    verdicts = pl.concat([pl.DataFrame(schema=VERDICT), *chain.gone]).unique("id", keep="first", maintain_order=True)
    why = lost.join(verdicts, on="id", how="left", maintain_order="left").with_columns(
        stage=pl.col("stage").fill_null("losses"), reason=pl.col("reason").fill_null("not scored yet")
    )
    whole = _whole_of(chain)
    reasons = (
        why.group_by("stage", "reason").len("rows").sort("rows", "stage", "reason", descending=[True, False, False])
    )
    total = stored.rows("selected")
    after = _estimate(total, then.height, lost.height, gained.height, stored.share)
    return Answer(
        settings,
        stored.share,
        _steps(chain, round(after.value)),
        total,
        after,
        whole(gained.height),
        whole(lost.height),
        [{**row, "rows": whole(row["rows"])} for row in reasons.to_dicts()],
        _both(then, chosen, "source", whole),
        _both(_with_band(then), _with_band(chosen), "chars", whole),
        {
            "gained": _examples(_kept_out(stored, gained), now.lazy()),
            "lost": _examples(_first(why), stored.scan("selected")),
        },
        [waiting(stored.project, stage, whole(rows)) for stage, rows in chain.waiting.items() if rows],
        [*_stale(stored.project), *chain.notes],
    )


def _stale(project: Project) -> list[str]:
    tree = read_tree(project.root / "params.yaml")
    moved = [key for key in moved_since(project.root, tree) if why_not(key) != NO_ROWS]
    if not moved:
        return []
    return [
        f"params.yaml has changed since the last run ({', '.join(moved)}): `dvc repro` first, or the answer mixes both"
    ]


def _whole_of(chain: Chain) -> Callable[[int], int]:
    """Rows of the sample -> rows of all, by what of the release is in the sample."""
    if chain.stored.share >= 1:
        return lambda rows: rows
    seen = chain.stored.scan("selected").select(pl.len()).collect().item()
    scale = chain.stored.rows("selected") / seen if seen >= ENOUGH else 1 / chain.stored.share
    return lambda rows: round(rows * scale)


def _estimate(total: int, seen: int, lost: int, gained: int, sampled: float) -> Estimate:
    """Rows released; of a sample with its 95% interval."""
    if sampled >= 1:
        return Estimate(*[float(total - lost + gained)] * 3)
    less, scale = share(lost, max(seen, lost)), total / seen if seen >= ENOUGH else 1 / sampled
    new, spread = gained * scale, 1.96 * scale * math.sqrt(gained + 1)  # Poisson: more may come than were there
    return Estimate(
        total * (1 - less.value) + new,
        total * (1 - less.high) + max(0.0, new - spread),
        total * (1 - less.low) + new + spread,
    )


def _steps(chain: Chain, released: int) -> list[Step]:
    """From the first stage at which rows come or go."""
    stored, whole = chain.stored, _whole_of(chain)
    found: list[Step] = []
    for stage, dataset in DATASETS.items():
        if not stored.project.dataset(dataset).is_dir():
            continue
        before = stored.rows(dataset)
        if stage == "select":
            after = released
        else:
            left = _gone_by(chain, stage)
            kept = stored.scan(dataset).select("id").join(left, on="id", how="semi").select(pl.len()).collect().item()
            after = before - whole(kept) + whole(chain.gained.get(stage, 0))
        if after != before or found or chain.gained.get(stage):
            found.append(Step(stage, before, after, whole(chain.waiting.get(stage, 0))))
    return found


def _gone_by(chain: Chain, stage: str) -> pl.LazyFrame:
    """Ids that have left at this stage or before it."""
    names = list(DATASETS)[: list(DATASETS).index(stage) + 1]
    empty = pl.DataFrame(schema={"id": pl.String})
    return pl.concat([empty, *(one.filter(pl.col("stage").is_in(names)).select("id") for one in chain.gone)]).lazy()


def _both(then: pl.DataFrame, now: pl.DataFrame, column: str, whole: Callable[[int], int]) -> list[dict[str, Any]]:
    counted = [frame.group_by(column).len(name) for frame, name in ((then, "before"), (now, "after"))]
    both = counted[0].join(counted[1], on=column, how="full", coalesce=True).fill_null(0).sort(column)
    return [
        {column: str(row[column]), "before": whole(row["before"]), "after": whole(row["after"])}
        for row in both.to_dicts()
    ]


def _with_band(rows: pl.DataFrame) -> pl.DataFrame:
    names = [f"0-{BANDS[0] - 1}", *(f"{a}-{b - 1}" for a, b in pairwise(BANDS)), f"{BANDS[-1]}-"]
    place = pl.sum_horizontal((pl.col("chars") >= edge).cast(pl.Int8) for edge in BANDS)
    return rows.select(chars=place.replace_strict(dict(enumerate(names)), return_dtype=pl.Enum(names)))


def _first(rows: pl.DataFrame) -> pl.DataFrame:
    """A fair few: ids are hashes."""
    return rows.sort("id").head(EXAMPLES)


def _examples(rows: pl.DataFrame, texts: pl.LazyFrame) -> list[dict[str, Any]]:
    """With instruction and answer."""
    both = texts.select("id", "instruction", "output").join(rows.lazy().select("id"), on="id", how="semi")
    told = rows.join(both.collect(), on="id", how="left", maintain_order="left")
    return told.select("id", "source", "instruction", "output", "stage", "reason", "value", "threshold").to_dicts()


def _kept_out(stored: Stored, gained: pl.DataFrame) -> pl.DataFrame:
    """A few, with the verdict that keeps them out today."""
    rows = _first(gained)
    told = [
        verdict.join(rows.lazy().select("id"), on="id", how="semi").select(list(VERDICT)).collect()
        for verdict in (stored.ledger(stage) for stage in ("pairs", "mix", "select"))
    ]
    return rows.join(pl.concat(told).unique("id", keep="first"), on="id", how="left", maintain_order="left")
