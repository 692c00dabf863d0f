"""The pairs of one method, where `mix` finds them: DVC must know which datasets are mixed before it runs anything."""

from typing import Any

from kun.errors import InputError
from kun.params import Mix
from kun.project import Project
from kun.schemas import PAIR, conform
from kun.tables.shards import read_dataset, write_dataset


def source(project: Project, params: Mix, name: str) -> dict[str, Any]:
    """Copy the dataset that `mix.sources` names to data/sources/<name>; returns how many rows it has.

    InputError when it lacks a column of pairs, or a row lacks an instruction, an answer or a licence.
    """
    if name not in params.sources:
        raise InputError(f"mix.sources has no source {name!r}; it has {', '.join(params.sources)}")
    folder = params.sources[name].pairs
    rows = read_dataset(project.root / folder)
    if missing := [column for column in PAIR if column not in rows.columns]:
        raise InputError(f"mix.sources: {folder} holds no pairs, for it has no column {', '.join(missing)}")
    for column in ("id", "instruction", "output", "licence"):
        if empty := int((rows[column].fill_null("") == "").sum()):
            raise InputError(f"mix.sources: {empty} rows of {folder} have no {column}")
    write_dataset(project.dataset(f"sources/{name}"), conform(rows, PAIR), PAIR)
    return {"source": name, "rows": rows.height}
