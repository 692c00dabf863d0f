"""Taxonomy of knowledge: what people wrote, what a model proposed, and which of it the votes keep."""

import difflib
from collections.abc import Mapping
from typing import Any

import polars as pl

from kun.errors import ConfigError
from kun.glan.names import record_id
from kun.glan.nodes import Node, Votes, judged, read_nodes, read_votes
from kun.params import Glan
from kun.project import Project
from kun.tables.ledger import close_stage, rejects

STAGE = "glan/taxonomy"


def taxonomy(project: Project, params: Glan) -> dict[str, Any]:
    """Keep what people wrote and did not vote away, and what they voted for of a model's proposals; data/glan/nodes."""
    folder = project.root / params.path
    nodes = read_nodes(folder)
    votes = read_votes(folder / "votes.csv", {node.key: node for node in nodes})
    faults = judged(nodes, votes)
    rows = _rows(nodes, votes, faults, _chosen(params.disciplines, nodes, faults))
    kept = rows.filter(pl.col("reason").is_null())
    dropped = rejects(rows.filter(pl.col("reason").is_not_null()), STAGE, excerpt="path", source="origin")
    ties = kept.filter("tie").height
    return close_stage(project, STAGE, "glan/nodes", rows.height, kept, [dropped], ties=ties)


def _chosen(wanted: list[str], nodes: list[Node], faults: Mapping[str, str]) -> set[str]:
    """Keys of the disciplines to expand; ConfigError when one is not there or not kept."""
    known = {node.key: faults[node.key] for node in nodes if node.kind == "discipline"}
    for key in wanted:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "the taxonomy has no such key"
            raise ConfigError(f"params.yaml: glan.disciplines: no discipline `{key}`; {hint}")
        if known[key]:
            raise ConfigError(f"params.yaml: glan.disciplines: `{key}` is not kept ({known[key]}); vote in votes.csv")
    return set(wanted) or {key for key, fault in known.items() if not fault}


def _rows(nodes: list[Node], votes: Mapping[str, Votes], faults: Mapping[str, str], chosen: set[str]) -> pl.DataFrame:
    ids, paths = {"": ""}, {"": ""}
    rows = []
    for node in nodes:
        ids[node.key] = record_id(parent_id=ids[node.parent], kind=node.kind, key=node.key)
        paths[node.key] = f"{paths[node.parent]}/{node.key}".strip("/")
        told = votes.get(node.key, Votes())
        row = {
            "id": ids[node.key],
            "key": node.key,
            "kind": node.kind,
            "parent_id": ids[node.parent],
            "zh": node.zh,
            "en": node.en,
            "path": paths[node.key],
            "origin": node.origin,
            "n_keep": told.keep,
            "n_remove": told.remove,
            "tie": 0 < told.keep == told.remove,
            "chosen": node.key in chosen,
            "reason": faults[node.key] or None,
            "value": f"{told.keep} keep, {told.remove} remove",
            "threshold": "more keep than remove",
        }
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.col("reason").cast(pl.String))
