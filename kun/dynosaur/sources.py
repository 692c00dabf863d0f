"""Where datasets come from: folders with a card and tables, and lists of cards without rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from kun.corpus.encoding import guess_encoding
from kun.corpus.files import raw_files
from kun.corpus.items import Reject, printable
from kun.corpus.readers import has_fields, objects
from kun.dynosaur.cards import Card, MalformedCard, clean_summary, parse_card, strings
from kun.errors import InputError

STEPS = "steps.yaml"
"""In the folder of datasets: which came in which step of growth."""

CARD = "README.md"
MAX_CARD = 2**20
"""Bytes of a card that are read; the longest of the hub have some 300 kB."""


@dataclass(frozen=True)
class Source:
    """One dataset, or one configuration of one, as it was found."""

    name: str
    origin: str
    card: Card
    website: str = ""
    config: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    """Of the first row, or as the card lists them."""
    card_only: bool = False


Found = Source | Reject


def read_folders(path: Path, max_rows: int) -> Iterator[Found]:
    """The datasets below `path`, a folder each, in the order of their names; InputError when there is no such folder."""
    if not path.is_dir():
        raise InputError(
            f"dynosaur.path: {path} is no folder; put a folder with {CARD} and tables there for each dataset"
        )
    for place in sorted(path.iterdir()):
        if place.is_dir() and not place.name.startswith("."):
            yield from read_folder(place, place.name, place.name, max_rows)
        elif not place.name.startswith((".", "README")) and place.name != STEPS:
            yield Reject(place.name, "no_folder", "a dataset is a folder", place.name)


def read_folder(folder: Path, name: str, origin: str, max_rows: int, website: str = "") -> Iterator[Found]:
    """The configurations of one dataset, and what could not be read of it."""
    card = read_card(folder, origin)
    if isinstance(card, Reject):
        yield card
        return
    files = raw_files(folder)
    for config, wanted in _configs(card.front, folder, files).items():
        whole = f"{name}-{config}" if config else name
        rows: list[dict[str, Any]] = []
        for item in _items(folder, wanted, origin, max_rows):
            if isinstance(item, Reject):
                yield item
            else:
                rows.append(_storable(item))
        columns = list(rows[0]) if rows else []
        yield Source(whole, origin, card, website or _website(card), config, rows, columns)


def read_card(folder: Path, origin: str) -> Card | Reject:
    """The card of a folder; a Reject when there is none, or none that can be read."""
    path = folder / CARD
    if not path.is_file():
        return Reject(origin, "no_card", f"no {CARD}", origin)
    raw = path.read_bytes()[:MAX_CARD]
    try:
        return parse_card(raw.decode(guess_encoding(raw)))
    except UnicodeDecodeError as error:
        return Reject(origin, "undecodable_card", str(error), origin)
    except MalformedCard as error:
        return Reject(origin, "malformed_card", printable(str(error)), origin)


def read_list(path: Path, name: str) -> Iterator[Found]:
    """Cards in a jsonl file: `dataset`, `description`, `features` as [name, type] pairs or names, `license`, `homepage`."""
    try:
        found = list(objects(path, name))
    except FileNotFoundError:
        raise InputError(f"dynosaur.cards: {path} does not exist") from None
    for item in found:
        yield item if isinstance(item, Reject) else _listed(item[0], _storable(item[1]))


def read_steps(path: Path) -> dict[str, int]:
    """Name of a dataset -> step of growth, from steps.yaml: a list of lists of names. {} without the file."""
    import yaml

    place = path / STEPS
    if not place.is_file():
        return {}
    try:
        steps = yaml.safe_load(place.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{place} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(steps, list) or not all(isinstance(names, list) for names in steps):
        raise InputError(f"{place} must be a list with a list of dataset names for each step")
    known: dict[str, int] = {}
    for number, names in enumerate(steps, 1):
        for name in map(str, names):
            if name in known:
                raise InputError(f"{place} names {name!r} twice; a dataset comes in one step")
            known[name] = number
    return known


def _configs(front: Mapping[str, Any], folder: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Name of each configuration -> its files, as `configs` of the front matter says; {"": all files} when it says nothing."""
    listed = front.get("configs")
    configs = [config for config in listed if isinstance(config, dict)] if isinstance(listed, list) else []
    named: dict[str, list[Path]] = {}
    for config in configs:
        patterns = _patterns(config.get("data_files"))
        chosen = [file for file in files if any(file.relative_to(folder).match(pattern) for pattern in patterns)]
        if patterns:
            named[str(config.get("config_name", ""))] = chosen
    return dict(zip([""], named.values(), strict=True)) if len(named) == 1 else named or {"": list(files)}


def _patterns(data_files: object) -> list[str]:
    """Patterns of file names: `data.csv`, a list of them, or a list of {split, path}."""
    found = []
    for entry in data_files if isinstance(data_files, list) else [data_files]:
        found += strings(entry.get("path") if isinstance(entry, dict) else entry)
    return found


def _items(folder: Path, files: Sequence[Path], origin: str, max_rows: int) -> Iterator[dict[str, Any] | Reject]:
    """The first `max_rows` records of all files, training data first; test data is left alone, for models are tested on it."""
    tables = []
    for file in files:
        name = f"{origin}/{file.relative_to(folder).as_posix()}"
        if not has_fields(file):
            yield Reject(name, "unknown_format", "".join(file.suffixes), file.name)
        elif _is_test(file.relative_to(folder)):
            yield Reject(name, "test_split", "test", file.name)
        else:
            tables.append((file, name))
    tables.sort(key=lambda table: "train" not in table[1].lower())
    records = (item for file, name in tables for item in objects(file, name))
    for item in islice(records, max_rows):
        yield item if isinstance(item, Reject) else item[1]


def _storable(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as JSON has it: dates become text, bytes and what is no number (NaN, infinity) null.

    Halves of surrogate pairs, which nothing can store, become "?".
    """
    text = json.dumps(record, ensure_ascii=False, default=_text_or_null)
    stored: dict[str, Any] = json.loads(text.encode("utf-8", "replace"), parse_constant=lambda _: None)
    return stored


def _text_or_null(value: object) -> str | None:
    return None if isinstance(value, bytes) else str(value)


def _is_test(path: Path) -> bool:
    parts = path.as_posix().lower().replace("-", "/").replace("_", "/").replace(".", "/").split("/")
    return "test" in parts


def _website(card: Card) -> str:
    return next(iter(strings(card.front.get("homepage"))), "")


def _listed(origin: str, record: Mapping[str, Any]) -> Found:
    name = record.get("dataset")
    if not isinstance(name, str) or not name.strip():
        return Reject(origin, "no_name", "no `dataset`", printable(json.dumps(record, ensure_ascii=False)))
    features = record.get("features")
    columns = [
        str(entry[0] if isinstance(entry, list) and entry else entry)
        for entry in (features if isinstance(features, list) else [])
    ]
    described = record.get("description")
    card = Card(record, clean_summary(described) if isinstance(described, str) else "")
    return Source(name.strip(), origin, card, _website(card), columns=list(dict.fromkeys(columns)), card_only=True)
