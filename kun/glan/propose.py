"""A model proposes disciplines; they wait in proposed.yaml until people vote."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from kun.engine.base import Sampling
from kun.errors import InputError
from kun.glan.ask import Told, ask
from kun.glan.names import same_name, seed_of
from kun.glan.nodes import Node, judged, load_mapping, read_nodes, read_votes
from kun.glan.records import disciplines_schema, read_disciplines
from kun.params import Engine, Glan
from kun.project import Project
from kun.prompts import render
from kun.tables.shards import write_text
from kun.work.stage import ModelStage, writing_stage

STAGE = "glan/propose"
_NO_KEY = re.compile(r"[^a-z0-9]+")


def propose(project: Project, params: Glan, engine: Engine, parents: Sequence[str], most: int) -> list[str] | None:
    """Ask for up to `most` more disciplines below each of `parents` (keys; none: every kept sub-field).

    Writes those that nothing is called like behind the others in proposed.yaml, and returns their keys. None on helper ranks.
    """
    folder = project.root / params.path
    nodes = read_nodes(folder)
    faults = judged(nodes, read_votes(folder / "votes.csv", {node.key: node for node in nodes}))
    kept = {node.key: node for node in nodes if node.kind != "discipline" and not faults[node.key]}
    for key in parents:
        if key not in kept:
            raise InputError(f"`{key}` is no field or sub-field that is kept; there are {', '.join(kept)}")
    asked = [kept[key] for key in parents] or [node for node in kept.values() if node.kind == "subfield"]
    stage = writing_stage(project, STAGE, engine, params.teacher)
    told = _asked(stage, asked, nodes, params, most)
    if told is None:
        return None
    found = new_nodes(told, nodes)
    _append(folder / "proposed.yaml", found)
    return [node.key for node in found]


def new_nodes(told: Told, nodes: Sequence[Node]) -> list[Node]:
    """Proposed disciplines that nothing in the taxonomy, nor an earlier proposal, is called like."""
    names = {same_name(name) for node in nodes for name in (node.zh, node.en)}
    keys = {node.key for node in nodes}
    found = []
    for row, items in zip(told.rows.iter_rows(named=True), told.replies, strict=True):
        for item in items.valid:
            own, key = {same_name(item["zh"]), same_name(item["en"])}, key_of(item["en"])
            if key and key not in keys and names.isdisjoint(own):
                names |= own
                keys.add(key)
                found.append(Node(key, "discipline", row["id"], item["zh"].strip(), item["en"].strip(), "model"))
    return found


def key_of(name: str) -> str:
    """organic-chemistry of "Organic Chemistry"; "" for a name without Latin letters or digits."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _NO_KEY.sub("-", plain.lower()).strip("-")


def _asked(stage: ModelStage, asked: Sequence[Node], nodes: Sequence[Node], params: Glan, most: int) -> Told | None:
    prompts = []
    for parent in asked:
        known = [getattr(node, params.lang) for node in nodes if node.parent == parent.key]
        sign = "、" if params.lang == "zh" else ", "
        prompts.append(render("glan_propose", params.lang, parent=getattr(parent, params.lang), known=sign.join(known)))
    rows = pl.DataFrame(
        {"id": [parent.key for parent in asked], "prompt": [stage.tokens.chat(prompt) for prompt in prompts]}
    )
    sampling = Sampling(
        params.record_tokens,
        params.temperature,
        params.top_p,
        seed=seed_of(params.seed, "propose"),
    )

    def parse(_: dict[str, Any], text: str, finish: str) -> Any:
        return read_disciplines(text, finish, most)

    return ask(stage, rows, sampling, parse, params.attempts, disciplines_schema(most, params.plain))


def _append(path: Path, found: Sequence[Node]) -> None:
    """Rewrite the file with the new nodes behind its own; its leading comment stays."""
    content = load_mapping(path)
    listed = content.get("disciplines") or {}
    listed |= {node.key: {"parent": node.parent, "zh": node.zh, "en": node.en} for node in found}
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = "".join(f"{line}\n" for line in lines if line.startswith("#"))
    body = yaml.safe_dump(content | {"disciplines": listed}, allow_unicode=True, sort_keys=False)
    write_text(path, comment + body)
