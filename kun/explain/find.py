"""From what a person has at hand (an id, a place in a file, a line of the release, a piece of text) to the id of a record."""

import re
from collections.abc import Sequence
from itertools import takewhile

import polars as pl

from kun.corpus.text import normalise, text_id
from kun.errors import InputError
from kun.lazily import ledgers, scan
from kun.project import Project
from kun.tables.shards import readable

ID_CHARS = 32
LEAST_PREFIX = 6
"""Hexadecimal digits from which on a word is taken for the beginning of an id: 16 million of them."""
SHOWN = 5
"""Candidates that an error names."""
MANY = 100_000
"""Ids that the nearest is looked for among."""
TEXTS = (("ingested", "text"), ("labelled", "instruction"), ("polished", "answer"))
"""Where a piece of text is looked for."""


def find(project: Project, wanted: str) -> str:
    """The id of the one record that `wanted` names; InputError for none (with the nearest) or several."""
    wanted = wanted.strip()
    if not wanted:
        raise InputError(
            "name a record: its id, or the beginning of it, its place (forum.csv:64), a line of the release, or some of its text"
        )
    if re.fullmatch(r"\d{1,9}", wanted):
        return _released(project, int(wanted))
    if re.fullmatch(rf"[0-9a-f]{{{LEAST_PREFIX},{ID_CHARS}}}", wanted):
        return _by_prefix(project, wanted)
    return _by_text(project, wanted)


def _released(project: Project, line: int) -> str:
    selected = scan(project, "selected")
    if selected is None:
        raise InputError("there is no release yet, so no line of it; run `dvc repro` first")
    with readable(project.dataset("selected")):
        found = selected.select("id").slice(line - 1, 1).collect() if line else pl.DataFrame({"id": []})
        if found.is_empty():
            rows = selected.select(pl.len()).collect().item()
            raise InputError(f"the release has no line {line}; its {rows} lines count from 1")
    return str(found["id"][0])


def unknown(project: Project, prefix: str) -> InputError:
    """No record has that id or beginning of one; names the nearest, those that agree the longest."""
    alike = _ids(project, pl.col("id").str.starts_with(prefix[:2]), MANY)
    longest = max((_agree(prefix, one) for one in alike), default=0)
    close = [one for one in alike if _agree(prefix, one) == longest]
    hint = f"; nearest: {', '.join(close[:SHOWN])}" if close else ""
    return InputError(f"no record has the id {prefix}{'' if len(prefix) == ID_CHARS else '…'}{hint}")


def _agree(one: str, other: str) -> int:
    """Characters that both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _by_prefix(project: Project, prefix: str) -> str:
    if len(prefix) == ID_CHARS:
        return prefix  # whoever reads its rows will see whether there is such a record
    found = _ids(project, pl.col("id").str.starts_with(prefix))
    if not found:
        raise unknown(project, prefix)
    return _only(found, f"the id {prefix}…")


def _by_text(project: Project, text: str) -> str:
    own = text_id(normalise(text))
    exact = _ids(
        project, pl.col("id").is_in([text, own])
    )  # what never became a row has its place as its id: forum.csv:64
    if exact:
        return text if text in exact else own
    if found := _at(project, text):
        return _only(found, text)
    tables = [(table, column) for dataset, column in TEXTS if (table := scan(project, dataset)) is not None]
    has = [
        table.filter(pl.col(name).str.contains(text, literal=True)).select("id").head(SHOWN + 1)
        for table, name in tables
    ]
    with readable(project.root / "data"):
        found = [one for frame in pl.collect_all(has) for one in frame["id"]]
    if not found:
        raise InputError(f"no text, instruction or answer contains {text[:40]!r}")
    return _only(list(dict.fromkeys(found)), f"{text[:40]!r}")


def _at(project: Project, origin: str) -> list[str]:
    """Records read from that place: `essays/tea.txt:12`."""
    table = scan(project, "ingested")
    if table is None or ":" not in origin:
        return []
    with readable(project.dataset("ingested")):
        return table.filter(pl.col("origin") == origin).select("id").collect()["id"].to_list()


def _ids(project: Project, condition: pl.Expr, most: int = SHOWN + 1) -> list[str]:
    """A few ids that are met anywhere; a record that was never ingested stands in the ledger alone."""
    tables = [table for name in ("ingested", "pairs") if (table := scan(project, name)) is not None]
    queries = [table.filter(condition).select("id").head(most) for table in (*tables, ledgers(project))]
    with readable(project.root / "data"):
        found = pl.concat(pl.collect_all(queries))["id"]
    return found.unique(maintain_order=True).to_list()


def _only(found: Sequence[str], what: str) -> str:
    if len(found) > 1:
        more = "" if len(found) <= SHOWN else ", …"
        raise InputError(f"several records have {what}: {', '.join(found[:SHOWN])}{more}; name one")
    return found[0]
