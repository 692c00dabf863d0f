"""Records as a reviewer sees them: what all datasets say of an id, in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from kun.explain.find import ledgers, scan
from kun.explain.life import STAGES
from kun.project import Project
from kun.select.scores import with_scores
from kun.select.voted import BY_VOTES
from kun.tables.shards import readable
from kun.votes.vote import seen_key

Row = dict[str, Any]

DATASETS = ("ingested", "corpus", "perplexity", "labelled", "instructions", "judged", "polished", "mixed", "selected")
SHOWN_AS = ("mixed", "polished", "instructions", "labelled", "corpus", "ingested")
"""Where a record is shown from: the last of these that has it."""
SCORES = ("p_good", "support", "copy_rate", "ppl", "ifd_ppl", "rifd_ppl", "ira")


@dataclass(frozen=True)
class Record:
    """One record."""

    id: str
    dataset: str
    """Where it is shown from; where none of these datasets has it (`dvc pull` of some of them), the last that has; "rejects" for
    one that the ledger alone knows."""
    instruction: str
    """This and the next two: "" where no stage has written it."""
    input: str
    output: str
    text: str
    """The raw text; of a record that never became a row what the ledger quotes; "" of methods without one."""
    source: str
    """This and the next three: "" where no dataset at hand says it."""
    origin: str
    title: str
    lang: str
    method: str
    scores: Mapping[str, float]
    rank: int | None
    """Place in the selection, None outside of it."""
    verdict: Mapping[str, str]
    """stage, reason, value and threshold of one that a rule dropped; {} of all others. What votes or edits dropped is among
    those: each reviewer judges alone."""

    @property
    def seen(self) -> str:
        """What a vote on this state of the record says it was about."""
        return seen_key({"instruction": self.instruction, "input": self.input, "output": self.output})


def load_records(project: Project, ids: Sequence[str]) -> dict[str, Record]:
    """The records of these ids, in their order; ids that nothing knows are left out. Only their rows are held."""
    tables = {name: table for name in DATASETS if (table := scan(project, name)) is not None}
    queries = {name: table.filter(pl.col("id").is_in(list(ids))) for name, table in tables.items()}
    if (losses := scan(project, "losses")) is not None:
        queries["losses"] = losses.filter(pl.col("id").is_in(list(ids)))
    queries["rejects"] = ledgers(project).filter(pl.col("id").is_in(list(ids)))
    with readable(project.root / "data"):
        found = dict(zip(queries, pl.collect_all(list(queries.values())), strict=True))
    if "losses" in found:
        found["losses"] = with_scores(found["losses"])
    left = _left(found.pop("rejects"))
    rows = {name: {row["id"]: row for row in frame.iter_rows(named=True)} for name, frame in found.items()}
    known = {key: {name: table[key] for name, table in rows.items() if key in table} for key in ids}
    return {key: _record(key, known[key], left.get(key, {})) for key in ids if known[key] or key in left}


def _left(ledger: pl.DataFrame) -> dict[str, Row]:
    """Id -> the row of the last stage that rejected it."""
    order = list(STAGES)
    place = {stage: order.index(stage) if stage in order else -1 for stage in ledger["stage"].unique()}
    rows = sorted(ledger.iter_rows(named=True), key=lambda row: place[row["stage"]])
    return {row["id"]: row for row in rows}


def _record(key: str, rows: Mapping[str, Row], left: Mapping[str, Any]) -> Record:
    """From dataset -> row; a pair that is finished is shown as it stands in data/mixed."""
    pair, raw = rows.get("mixed", {}), rows.get("corpus") or rows.get("ingested", {})
    asked = rows.get("instructions") or rows.get("labelled", {})
    gone = bool(left) and (left["stage"], left["reason"]) not in BY_VOTES
    gone = gone and STAGES.get(left["stage"]) not in rows  # a repeated row has its id in data/ingested too
    told = {
        **rows.get("perplexity", {}),
        **rows.get("losses", {}),
        **rows.get("polished", {}),
        **rows.get("judged", {}),
    }
    return Record(
        id=key,
        dataset=next((name for name in (*SHOWN_AS, *reversed(STAGES.values())) if name in rows), "rejects"),
        instruction=(pair or asked).get("instruction") or "",
        input=pair.get("input") or "",
        output=pair["output"] if pair else rows.get("polished", {}).get("answer") or "",
        text=raw.get("text") or ("" if rows else left["excerpt"]),
        source=(pair or raw or rows.get("selected") or left).get("source", ""),
        origin=raw.get("origin", ""),
        title=raw.get("title", ""),
        lang=raw.get("lang", ""),
        method=pair.get("method", ""),
        scores={name: told[name] for name in SCORES if told.get(name) is not None},
        rank=rows.get("selected", {}).get("rank"),
        verdict={name: left[name] for name in ("stage", "reason", "value", "threshold")} if gone else {},
    )
