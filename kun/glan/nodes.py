"""taxonomy.yaml (by people), proposed.yaml (by a model) and votes.csv -> nodes and votes, or one clear line."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from kun.errors import InputError
from kun.glan.names import same_name

Kind = Literal["field", "subfield", "discipline"]
SECTIONS: dict[str, Kind] = {"fields": "field", "subfields": "subfield", "disciplines": "discipline"}
"""Keys of a taxonomy file -> kind of the nodes below."""
KEY = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
VOTES = ("node", "annotator", "vote")


@dataclass(frozen=True)
class Node:
    """One element of the taxonomy."""

    key: str
    kind: Kind
    parent: str
    """Key; "" for a field."""
    zh: str
    en: str
    origin: Literal["human", "model"]


@dataclass
class Votes:
    """For and against a node."""

    keep: int = 0
    remove: int = 0


def read_nodes(folder: Path) -> list[Node]:
    """All nodes of taxonomy.yaml and proposed.yaml, parents first; InputError for whatever makes no tree."""
    files: dict[str, Literal["human", "model"]] = {"taxonomy.yaml": "human", "proposed.yaml": "model"}
    nodes: dict[str, Node] = {}
    named: dict[tuple[str, str, str], str] = {}
    for name, origin in files.items():
        path = folder / name
        for node in _nodes_of(path, origin):
            if node.key in nodes:
                raise InputError(f"{path}: `{node.key}` stands twice in the taxonomy; give one of them another key")
            nodes[node.key] = node
            for lang, text in (("zh", node.zh), ("en", node.en)):
                first = named.setdefault((node.kind, lang, same_name(text)), node.key)
                if first != node.key:
                    raise InputError(f"{path}: {node.kind} `{node.key}` is called {text!r} like `{first}`; remove one")
    if not nodes:
        raise InputError(f"{folder / 'taxonomy.yaml'} names no field; write at least one")
    return _parents_first(nodes, folder)


def read_votes(path: Path, keys: Mapping[str, object]) -> dict[str, Votes]:
    """Key -> votes; InputError for a line that is no vote, for an unknown node and for a second vote of one annotator."""
    votes: dict[str, Votes] = {}
    seen = set()
    lines = csv.reader(_text(path).splitlines())
    header = next(lines)
    if tuple(header) != VOTES:
        raise InputError(f"{path}:1: the header must be {','.join(VOTES)}, not {','.join(header)}")
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        if len(line) != len(VOTES) or line[2] not in ("keep", "remove") or not line[1]:
            raise InputError(f"{path}:{number}: a vote is NODE,ANNOTATOR,keep or NODE,ANNOTATOR,remove")
        node, annotator, vote = line
        if node not in keys:
            raise InputError(f"{path}:{number}: no node `{node}` in the taxonomy; mend the key or remove the vote")
        if (node, annotator) in seen:
            raise InputError(f"{path}:{number}: {annotator} has voted on `{node}` before; keep one of the two votes")
        seen.add((node, annotator))
        count = votes.setdefault(node, Votes())
        count.keep, count.remove = count.keep + (vote == "keep"), count.remove + (vote == "remove")
    return votes


def judged(nodes: list[Node], votes: Mapping[str, Votes]) -> dict[str, str]:
    """Key -> why a node is not kept, "" for one that is; `nodes` have parents first.

    The majority decides, a tie keeps. Without a vote what a person wrote stays, and what a model proposed waits.
    """
    faults: dict[str, str] = {}
    for node in nodes:
        told = votes.get(node.key, Votes())
        if node.parent and faults[node.parent]:
            faults[node.key] = "parent_not_kept"
        elif told.remove > told.keep:
            faults[node.key] = "removed"
        else:
            faults[node.key] = "proposed" if node.origin == "model" and not told.keep else ""
    return faults


def _nodes_of(path: Path, origin: Literal["human", "model"]) -> Iterator[Node]:
    content = load_mapping(path)
    _only_keys(content, SECTIONS, f"{path}")
    for section, kind in SECTIONS.items():
        entries = content.get(section) or {}
        if not isinstance(entries, dict):
            raise InputError(f"{path}: `{section}` must map keys to names")
        for key, entry in entries.items():
            yield _node(f"{path}: {section}.{key}", key, kind, entry, origin)


def _node(where: str, key: object, kind: Kind, entry: Any, origin: Literal["human", "model"]) -> Node:
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise InputError(f"{where}: a key is made of small letters, digits and hyphens, like organic-chemistry")
    if not isinstance(entry, dict):
        raise InputError(f"{where}: must be a mapping, like {{parent: chemistry, zh: 有机化学, en: Organic chemistry}}")
    wanted = ("zh", "en") if kind == "field" else ("parent", "zh", "en")
    _only_keys(entry, wanted, where)
    for name in wanted:
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            raise InputError(f"{where}: `{name}` is missing or no text")
    return Node(key, kind, entry.get("parent", ""), entry["zh"].strip(), entry["en"].strip(), origin)


def _only_keys(found: Mapping[Any, object], known: Any, where: str) -> None:
    for key in found:
        if key not in known:
            raise InputError(f"{where}: unknown key `{key}`; known keys: {', '.join(known)}")


def _parents_first(nodes: dict[str, Node], folder: Path) -> list[Node]:
    """In the order of the files, each behind its parent; InputError for an unknown parent or a cycle."""
    ordered: dict[str, Node] = {}
    for node in nodes.values():
        chain: list[Node] = []
        while node.key not in ordered:
            if node in chain:
                raise InputError(f"{folder}: `{node.key}` stands below itself; give one of its parents another parent")
            chain.append(node)
            if not node.parent:
                break
            parent = nodes.get(node.parent)
            if parent is None or parent.kind == "discipline":
                fault = "no node has that key" if parent is None else "it is a discipline, and nothing stands below one"
                raise InputError(f"{folder}: `{node.key}` has the parent `{node.parent}`, but {fault}")
            node = parent
        ordered |= {one.key: one for one in reversed(chain)}
    return list(ordered.values())


def load_mapping(path: Path) -> dict[Any, Any]:
    """A YAML file whose keys stand once each; InputError for anything else."""
    text = _text(path)
    try:
        _no_key_twice(yaml.compose(text, Loader=yaml.SafeLoader), path)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} must map fields, subfields and disciplines to their nodes")
    return content


def _no_key_twice(node: yaml.Node | None, path: Path) -> None:
    """YAML itself lets the last of two equal keys win without a word."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if sum(other.value == key.value for other, _ in node.value) > 1:  # type: ignore[union-attr]
            raise InputError(f"{path}:{key.start_mark.line + 1}: `{key.value}` stands twice; remove one")
        _no_key_twice(value, path)


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} not found; docs/how-to.md shows what belongs there") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    if not text.strip():
        raise InputError(f"{path} is empty; docs/how-to.md shows what belongs there")
    return text
