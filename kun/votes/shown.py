"""Records as a reviewer is shown them, from what the datasets say of their ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from kun.lazily import ledgers, scan
from kun.project import Project
from kun.schemas.datasets import STAGES
from kun.tables.shards import readable
from kun.votes.majority import BY_VOTES
from kun.votes.vote import seen_key

Row = dict[str, Any]

SHOWN_AS = ("mixed", "polished", "instructions", "labelled", "corpus", "ingested")
"""Where a record is shown from: the last of these that has it."""
READ: dict[str, tuple[str, ...]] = {
    "ingested": (),
    "corpus": (),
    "perplexity": (),
    "labelled": ("instruction",),
    "instructions": ("instruction",),
    "judged": ("p_good",),
    "polished": ("answer",),
    "mixed": ("instruction", "input", "output"),
    "losses": (),
    "selected": (),
}
"""Dataset -> the columns, beside `id`, that tell what is shown and judged."""


@dataclass(frozen=True)
class Shown:
    """What a vote is about."""

    id: str
    dataset: str
    """Where it is shown from; where none of these datasets has it (`dvc pull` of some of them), the last that has; "rejects" for
    one that the ledger alone knows."""
    instruction: str
    """This and the next two: "" where no stage has written it."""
    input: str
    output: str
    p_good: float | None
    """None where the judge never read it."""
    verdict: Mapping[str, str]
    """stage, reason, value and threshold of one that a rule dropped; {} of all others. What votes or edits dropped is among
    those: each reviewer judges alone."""

    @property
    def seen(self) -> str:
        """What a vote on this state of the record says it was about."""
        return seen_key({"instruction": self.instruction, "input": self.input, "output": self.output})


@dataclass(frozen=True)
class Stored:
    """What lies on the disk of some ids."""

    rows: Mapping[str, Mapping[str, Row]]
    """Id -> dataset -> its row; an empty mapping where no dataset has it."""
    left: Mapping[str, Row]
    """Id -> the row of the last stage that rejected it."""

    @property
    def known(self) -> list[str]:
        """The ids that a dataset or a ledger has, in their order."""
        return [key for key, rows in self.rows.items() if rows or key in self.left]


def load_shown(project: Project, ids: Sequence[str]) -> dict[str, Shown]:
    """The records of these ids, in their order; ids that nothing knows are left out. Only their rows are held."""
    if not ids:
        return {}
    tables = {name: scan(project, name) for name in READ}
    asked = {name: table.select("id", *READ[name]) for name, table in tables.items() if table is not None}
    found = stored(project, asked, ids)
    return {key: shown(key, found.rows[key], found.left.get(key, {})) for key in found.known}


def stored(project: Project, tables: Mapping[str, pl.LazyFrame], ids: Sequence[str]) -> Stored:
    """The rows that `tables` and the ledgers have of these ids."""
    wanted = pl.col("id").is_in(list(ids))
    queries = {name: table.filter(wanted) for name, table in tables.items()} | {"": ledgers(project).filter(wanted)}
    with readable(project.root / "data"):
        found = dict(zip(queries, pl.collect_all(list(queries.values())), strict=True))
    left = _last(found.pop(""))
    rows = {name: {row["id"]: row for row in frame.iter_rows(named=True)} for name, frame in found.items()}
    return Stored({key: {name: table[key] for name, table in rows.items() if key in table} for key in ids}, left)


def shown(key: str, rows: Mapping[str, Row], left: Mapping[str, Any]) -> Shown:
    """From dataset -> row, with the columns of READ at least; a pair that is finished is shown as it stands in data/mixed."""
    pair, asked = rows.get("mixed", {}), rows.get("instructions") or rows.get("labelled", {})
    gone = bool(left) and (left["stage"], left["reason"]) not in BY_VOTES
    gone = gone and STAGES.get(left["stage"]) not in rows  # a repeated row has its id in data/ingested too
    return Shown(
        id=key,
        dataset=next((name for name in (*SHOWN_AS, *reversed(STAGES.values())) if name in rows), "rejects"),
        instruction=(pair or asked).get("instruction") or "",
        input=pair.get("input") or "",
        output=pair["output"] if pair else rows.get("polished", {}).get("answer") or "",
        p_good=rows.get("judged", {}).get("p_good"),
        verdict={name: left[name] for name in ("stage", "reason", "value", "threshold")} if gone else {},
    )


def _last(ledger: pl.DataFrame) -> dict[str, Row]:
    order = list(STAGES)
    place = {stage: order.index(stage) if stage in order else -1 for stage in ledger["stage"].unique()}
    rows = sorted(ledger.iter_rows(named=True), key=lambda row: place[row["stage"]])
    return {row["id"]: row for row in rows}
