"""`kun dynosaur grow`: what a rerun would add, ask and cost, before it does."""

from dataclasses import dataclass

import polars as pl
import yaml

from kun.dynosaur.datasets import collect
from kun.dynosaur.proposals import propose
from kun.dynosaur.sources import STEPS, read_steps
from kun.params import Dynosaur, Engine
from kun.project import Project
from kun.tables.shards import read_dataset, write_text
from kun.work.pilot import Pilot

MILLION = 1_000_000


@dataclass(frozen=True)
class Growth:
    """The datasets now, against those of the last run."""

    new: list[str]
    changed: list[str]
    removed: list[str]
    refused: int
    """Datasets and files that the ledger would name."""
    prompts: int
    missing: int
    """Prompts whose reply is not in scratch."""
    tokens_in: int
    """Of the missing prompts."""
    tokens_out: int
    """Of their replies, at most."""


def growth(project: Project, params: Dynosaur, engine: Engine) -> Growth:
    """Read all datasets and look their prompts up in scratch; nothing is written, no model is loaded."""
    found = collect(project, params)
    now = dict(found.kept.select("name", "revision").iter_rows())
    before = _before(project)
    pilot = Pilot(0)
    propose(project, found.kept, params, engine, pilot)
    return Growth(
        sorted(now.keys() - before.keys()),
        sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
        sorted(before.keys() - now.keys()),
        found.ledger.height,
        len(pilot.costs),
        len(pilot.rest),
        sum(pilot.tokens[key] for key in pilot.rest),
        len(pilot.rest) * params.max_new_tokens,
    )


def told(found: Growth, engine: Engine) -> str:
    """For people, a line each."""
    server = engine.server
    cost = (found.tokens_in * server.price_in + found.tokens_out * server.price_out) / MILLION
    lines = [f"{word}: {_names(names)}" for word, names in _changes(found)]
    lines.append(f"refused: {found.refused} (data/rejects/dynosaur/datasets names them after the run)")
    lines.append(
        f"prompts: {found.prompts}, of which {found.prompts - found.missing} are answered already and "
        f"{found.missing} would be asked"
    )
    lines.append(f"tokens: {found.tokens_in:,} in, up to {found.tokens_out:,} out")
    return "\n".join([*lines, *([f"cost: up to {cost:,.4g}"] if cost else [])])


def register_step(project: Project, params: Dynosaur, names: list[str]) -> int:
    """Write `names` into steps.yaml as the next step of growth, those that no step has yet; its number, 0 for nothing new.

    Names stay there when their dataset goes: steps are history.
    """
    path = project.root / params.path
    known = read_steps(path)
    fresh = sorted(set(names) - known.keys())
    if not fresh:
        return 0
    steps = [
        [name for name, step in known.items() if step == number]
        for number in range(1, 1 + max(known.values(), default=0))
    ]
    text = yaml.safe_dump([*steps, fresh], allow_unicode=True, default_flow_style=None, width=10**6)
    write_text(
        path / STEPS, f"# Which dataset came in which step of growth; kun dynosaur grow --register adds to it.\n{text}"
    )
    return len(steps) + 1


def present(project: Project, params: Dynosaur) -> list[str]:
    """Names of the datasets that a run would use now."""
    return collect(project, params).kept["name"].to_list()


def _before(project: Project) -> dict[str, str]:
    """Name -> revision in the last run, {} when there was none."""
    folder = project.dataset("dynosaur/datasets")
    if not folder.is_dir():
        return {}
    rows: pl.DataFrame = read_dataset(folder, ["name", "revision"])
    return dict(rows.iter_rows())


def _changes(found: Growth) -> list[tuple[str, list[str]]]:
    return [("new", found.new), ("changed", found.changed), ("removed", found.removed)]


def _names(names: list[str]) -> str:
    return ", ".join(names) if names else "none"
