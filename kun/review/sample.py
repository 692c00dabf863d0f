"""Which records are read: a sample by score, reason or source, the same for every reviewer with the same seed."""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from kun.errors import InputError
from kun.explain.why import reasons
from kun.lazily import ledgers, scan
from kun.project import Project
from kun.select.scores import with_scores
from kun.tables.shards import readable
from kun.work.scratch import content_key

LOSSES = ("ifd_loss", "ifd_ppl", "rifd_loss", "rifd_ppl", "ira")
TABLES = {
    "p_good": "judged",
    "support": "polished",
    "copy_rate": "polished",
    "ppl": "perplexity",
    "length": "mixed",
} | (dict.fromkeys(LOSSES, "losses"))
"""Score -> the dataset that has it: rows that left behind it are there, too."""
TURN_DIGITS, FACTOR_DIGITS = 10, 5  # of an id and of what it is multiplied by: 60 bits together


@dataclass(frozen=True)
class Wanted:
    """A description of records; those that fit all of it."""

    by: str = ""
    """A score, a key of TABLES."""
    low: float | None = None
    high: float | None = None
    stage: str = ""
    """This and `reason`: rows that left there, or for it."""
    reason: str = ""
    source: str = ""
    count: int = 50
    seed: int = 7

    def __str__(self) -> str:
        """What is read, in a line: "p_good 0.4–0.7, source forum"; "" for finished pairs whatever they are like."""
        band = "" if self.low is None or self.high is None else f" {self.low:g}–{self.high:g}"
        parts = [f"{self.by}{band}" if self.by else ""]
        parts += [f"{name} {getattr(self, name)}" for name in ("stage", "reason", "source") if getattr(self, name)]
        return ", ".join(filter(None, parts))


def sample(project: Project, wanted: Wanted, skip: Collection[str]) -> list[str]:
    """Up to `wanted.count` ids in random order, without those of `skip`; InputError when nothing fits."""
    if wanted.stage or wanted.reason or wanted.source:
        reasons(project, wanted.stage, wanted.source, "")  # names that no stage knows, with the nearest
    if wanted.reason:
        reasons(project, wanted.stage, "", wanted.reason)
    ids = _fitting(project, wanted).unique("id")
    drawn = ids.filter(~pl.col("id").is_in(list(skip))).with_columns(turn=_turn(wanted.seed))
    with readable(project.root / "data"):
        found = drawn.bottom_k(wanted.count, by=["turn", "id"]).sort("turn", "id").collect(engine="streaming")
        if found.is_empty():
            fitting = ids.select(pl.len()).collect(engine="streaming").item()
            told = f"you have voted on all {fitting} of them (--again shows them)" if fitting else "there are none"
            raise InputError(f"nothing to read in {str(wanted) or 'data/mixed'}: {told}")
    return found["id"].to_list()


def _fitting(project: Project, wanted: Wanted) -> pl.LazyFrame:
    """The column `id` of all that fits."""
    parts = []
    if wanted.by:
        parts.append(_scored(project, wanted))
    if wanted.stage or wanted.reason:
        conditions = [pl.col(name) == value for name in ("stage", "reason") if (value := getattr(wanted, name))]
        parts.append(ledgers(project).filter(*conditions))
    if not parts:
        parts.append(_table(project, "mixed"))
    if wanted.source:
        known = [_table(project, name).select("id", "source") for name in ("ingested", "mixed") if _made(project, name)]
        of_source = pl.concat([*known, ledgers(project).select("id", "source")])
        parts.append(of_source.filter(pl.col("source") == wanted.source))
    first, *others = [part.select("id") for part in parts]
    for other in others:
        first = first.join(other, on="id", how="semi")
    return first


def _scored(project: Project, wanted: Wanted) -> pl.LazyFrame:
    table = _table(project, TABLES[wanted.by])
    if wanted.by in LOSSES:
        table = with_scores(table)
    score = pl.col("output").str.len_chars() if wanted.by == "length" else pl.col(wanted.by)
    low, high = wanted.low, wanted.high
    return table.filter(score.is_not_null() if low is None else score.is_between(low, high))


def _table(project: Project, name: str) -> pl.LazyFrame:
    table = scan(project, name)
    if table is None:
        raise InputError(f"{project.dataset(name)} is not there; run `dvc repro` first")
    return table


def _made(project: Project, name: str) -> bool:
    return project.dataset(name).is_dir()


def _turn(seed: int) -> pl.Expr:
    """When a row is drawn: its id, a hash, shuffled by the seed; what never became a row has no such id and comes first.

    A product with an odd number is another permutation of the numbers below 2**40 for each seed, and needs no row in Python.
    """
    drawn = content_key(["review", seed])
    mask, factor = int(drawn[:TURN_DIGITS], base=16), int(drawn[-FACTOR_DIGITS:], base=16) | 1
    number = pl.col("id").str.head(TURN_DIGITS).str.to_integer(base=16, strict=False)
    return ((number ^ mask) * factor % 16**TURN_DIGITS).fill_null(-1)
