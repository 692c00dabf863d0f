"""The pairs of one method, where `mix` finds them: DVC must know which datasets are mixed before it runs anything.

`mix` depends on the folder of their reports, which git holds: in a clone a folder of datasets, none of them there, looks changed.
"""

from typing import Any

import polars as pl

from kun.errors import InputError
from kun.params import Mix
from kun.project import Project
from kun.schemas.pairs import PAIR
from kun.schemas.schema import conform
from kun.tables.shards import read_dataset, shards, write_dataset, write_json
from kun.work.parts import file_key
from kun.work.scratch import content_key

ID = "^[0-9a-f]{32}$"
"""As kun/corpus/text.py makes it; rows are drawn by it (kun/tables/draw.py)."""


def source(project: Project, params: Mix, name: str) -> dict[str, Any]:
    """Copy the dataset that `mix.sources` names to data/sources/<name>; reports/sources/<name>.json tells its rows and hash.

    InputError when it lacks a column of pairs, or a row lacks an instruction, an answer, a licence or an id that is a hash.
    """
    if name not in params.sources:
        raise InputError(f"mix.sources has no source {name!r}; it has {', '.join(params.sources)}")
    folder = params.sources[name].pairs
    rows = read_dataset(project.root / folder)
    if missing := [column for column in PAIR if column not in rows.columns]:
        raise InputError(f"mix.sources: {folder} holds no pairs, for it has no column {', '.join(missing)}")
    pairs = conform(rows, PAIR).with_columns(pl.col("input").fill_null(""))
    for column in ("id", "instruction", "output", "licence"):
        if empty := int((pairs[column].fill_null("") == "").sum()):
            raise InputError(f"mix.sources: {empty} rows of {folder} have no {column}")
    if odd := pairs["id"].filter(~pairs["id"].str.contains(ID)).to_list():
        raise InputError(
            f"mix.sources: {len(odd)} rows of {folder} have an id that is no hash of 32 hex digits, the first {odd[0]!r}; "
            "kun.corpus.text.text_id makes one of a text"
        )
    copy = project.dataset(f"sources/{name}")
    write_dataset(copy, pairs, PAIR)
    content = content_key([file_key(shard) for shard in shards(copy)])
    told = {"source": name, "rows": rows.height, "content": content}
    write_json(project.root / "reports" / "sources" / f"{name}.json", told)
    return told
