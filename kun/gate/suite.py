"""expectations/<dataset>.json -> Suite, or one line that says what is wrong with the file."""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kun.errors import KunError
from kun.schemas.datasets import DATASETS

_KEYS = ("dataset", "stage", "parent", "rows", "facts")


@dataclass(frozen=True)
class Expectation:
    """One entry of a suite."""

    name: str
    """`meta.name`, else the type and the column."""
    type: str
    """Great Expectations' name for it."""
    kwargs: dict[str, Any]
    notes: str
    """`meta.notes`: why it is asked and where its numbers come from."""

    @property
    def column(self) -> str:
        """The column it looks at; "" for the whole table."""
        return str(self.kwargs.get("column", ""))

    @property
    def mostly(self) -> float:
        """Share of the non-null values that must fit."""
        return float(self.kwargs.get("mostly", 1.0))


@dataclass(frozen=True)
class Suite:
    """What a dataset must fulfil."""

    dataset: str
    stage: str
    """The stage that makes the dataset; its counts are part of the facts."""
    parent: str | None
    """The dataset in which each id must exist."""
    rows: list[Expectation]
    """Checked on one shard at a time."""
    facts: list[Expectation]
    """Checked on the one-row frame of facts."""


def load_suite(path: Path, dataset: str) -> Suite:
    """Read the suite of `dataset`; raises KunError for a missing or malformed file and for unknown columns."""
    raw = _read(path)
    if not isinstance(raw, dict) or sorted(raw) != sorted(_KEYS):
        raise KunError(f"{path}: must be an object with exactly the keys {', '.join(_KEYS)}")
    if raw["dataset"] != dataset:
        raise KunError(f"{path}: `dataset` is {raw['dataset']!r}, but the file belongs to {dataset!r}")
    if not isinstance(raw["stage"], str):
        raise KunError(f"{path}: `stage` must name the stage that makes {dataset}")
    if raw["parent"] is not None and raw["parent"] not in DATASETS:
        raise KunError(f"{path}: `parent` is {raw['parent']!r}, but must be null or one of {', '.join(DATASETS)}")
    rows, facts = (_expectations(path, part, raw[part]) for part in ("rows", "facts"))
    for expectation in rows:
        if expectation.column and expectation.column not in DATASETS[dataset]:
            raise KunError(f"{path}: rows: {expectation.name}: {no_column(expectation.column, DATASETS[dataset])}")
    return Suite(dataset, raw["stage"], raw["parent"], rows, facts)


def no_column(name: str, known: Any) -> str:
    """Say that a column does not exist, with the nearest name or all of them."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"no column `{name}`; " + (f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KunError(f"{path} not found; each dataset needs a suite of expectations (docs/gates.md)") from None
    except ValueError as error:  # malformed JSON or not UTF-8
        raise KunError(f"{path} is not valid JSON: {error}") from None


def _expectations(path: Path, part: str, raw: Any) -> list[Expectation]:
    entries = raw.get("expectations") if isinstance(raw, dict) else None
    if not isinstance(entries, list) or not entries:
        raise KunError(f"{path}: `{part}` must be an object with a non-empty list `expectations`")
    return [_expectation(f"{path}: {part}[{index}]", entry) for index, entry in enumerate(entries)]


def _expectation(where: str, raw: Any) -> Expectation:
    """Build one entry; `where` leads every complaint."""
    if not isinstance(raw, dict) or set(raw) - {"type", "kwargs", "meta"}:
        raise KunError(f"{where}: must be an object of type, kwargs and meta")
    kind, kwargs, meta = raw.get("type"), raw.get("kwargs", {}), raw.get("meta", {})
    if not isinstance(kind, str) or not isinstance(kwargs, dict) or not isinstance(meta, dict):
        raise KunError(f"{where}: type must be a string, kwargs and meta objects")
    mostly = kwargs.get("mostly", 1.0)
    if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 <= mostly <= 1:
        raise KunError(f"{where}: mostly is {mostly!r}, but must be a number from 0 to 1")
    name = meta.get("name") or " ".join(filter(None, (kind, kwargs.get("column"))))
    return Expectation(str(name), kind, kwargs, str(meta.get("notes", "")))
