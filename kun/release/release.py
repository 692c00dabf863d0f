"""The dataset as others receive it: data/release/, complete or not there."""

from typing import Any

from kun.errors import InputError
from kun.params import Params
from kun.project import Project
from kun.release.card import licence_terms, write_card
from kun.release.checksums import write_sums
from kun.release.facts import base_model, served
from kun.release.files import replaced_folder
from kun.release.formats import write_formats
from kun.tables.shards import read_dataset


def release(project: Project, params: Params) -> dict[str, Any]:
    """Write every format, the dataset card and their checksums to data/release/; InputError when no pair was selected.

    Returns `name`, `pairs`, `shards`, `licences` (lower case, of sources and base model) and `folder`.
    """
    pairs = read_dataset(project.dataset("selected"))
    if pairs.is_empty():
        raise InputError(
            "data/selected is empty: nothing to release; reports/counts/ tells which stage dropped the rows, and why"
        )
    folder = project.dataset("release")
    with replaced_folder(folder) as building:
        shards = write_formats(pairs, building, params.release)
        write_card(project, params, pairs, building)
        write_sums(building)
    return {
        "name": params.release.name,
        "pairs": pairs.height,
        "shards": shards,
        "licences": licence_terms(pairs, base_model(project), bool(served(params.engine))),
        "folder": str(folder),
    }
