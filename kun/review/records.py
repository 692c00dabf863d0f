"""Records as the page has them: what all datasets say of an id, in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kun.lazily import scan
from kun.project import Project
from kun.select.scores import with_scores
from kun.votes.shown import Shown, shown, stored

Row = dict[str, Any]

DATASETS = ("ingested", "corpus", "perplexity", "labelled", "instructions", "judged", "polished", "mixed", "selected")
SCORES = ("p_good", "support", "copy_rate", "ppl", "ifd_ppl", "rifd_ppl", "ira")


@dataclass(frozen=True)
class Record(Shown):
    """One record: what votes are about, and what helps to judge it."""

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


def load_records(project: Project, ids: Sequence[str]) -> dict[str, Record]:
    """The records of these ids, in their order; ids that nothing knows are left out. Only their rows are held."""
    tables = {name: table for name in DATASETS if (table := scan(project, name)) is not None}
    if (losses := scan(project, "losses")) is not None:
        tables["losses"] = with_scores(losses)
    found = stored(project, tables, ids)
    return {key: _record(key, found.rows[key], found.left.get(key, {})) for key in found.known}


def _record(key: str, rows: Mapping[str, Row], left: Mapping[str, Any]) -> Record:
    pair, raw = rows.get("mixed", {}), rows.get("corpus") or rows.get("ingested", {})
    told = {
        **rows.get("perplexity", {}),
        **rows.get("losses", {}),
        **rows.get("polished", {}),
        **rows.get("judged", {}),
    }
    return Record(
        **vars(shown(key, rows, left)),
        text=raw.get("text") or ("" if rows else left["excerpt"]),
        source=(pair or raw or rows.get("selected") or left).get("source", ""),
        origin=raw.get("origin", ""),
        title=raw.get("title", ""),
        lang=raw.get("lang", ""),
        method=pair.get("method", ""),
        scores={name: told[name] for name in SCORES if told.get(name) is not None},
        rank=rows.get("selected", {}).get("rank"),
    )
