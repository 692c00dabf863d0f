"""The published task records of Dynosaur through kun's validity filters: python bench/dynosaur.py instructions-full.json

The file is `instruction_data/instructions-full.json` of the reference repository: tasks that passed the reference's own
filters, a list of {task_name, instruction, input_fields, output_field}. It does not say which fields a dataset has, so
`unknown_field` cannot be seen here; the records of a dataset count as one reply.
"""

import json
import sys
from pathlib import Path

import polars as pl

from kun.config import load_params
from kun.dynosaur.fields import is_identifier
from kun.dynosaur.filters import PROPOSED, valid_tasks
from kun.dynosaur.replies import task_fields
from kun.dynosaur.tasks import task_id
from kun.params import Dynosaur


def filtered(path: Path, params: Dynosaur) -> dict[str, int]:
    """Records, kept ones, and the others by reason."""
    records = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    malformed = identifiers = 0
    for record in records:
        task = task_fields(record)
        if task is None:
            malformed += 1
            continue
        source = record["task_name"]
        own = {"id": task_id(source, task), "reply": source, "source": source, "variant": "unaware", "known": None}
        rows.append(own | task)
        identifiers += any(is_identifier(name) for name in (*task["input_fields"], *task["output_fields"]))
    split = valid_tasks(pl.DataFrame(rows, schema=PROPOSED), params)
    reasons = dict(split.dropped["reason"].value_counts(sort=True).iter_rows())
    told = {"records": len(records), "kept": split.kept.height, "malformed_task": malformed, **reasons}
    return told | {"(with a field that kun takes for an identifier)": identifiers}


if __name__ == "__main__":
    for name, count in filtered(Path(sys.argv[1]), load_params().dynosaur).items():
        print(f"{name:<50}{count:>7,}")
