"""A small project under git and DVC: one stage, whose output is the released dataset, in as many versions as a test commits."""

import subprocess
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from dvc.repo import Repo

from kun.corpus.text import text_id
from kun.project import Project
from kun.schemas.select import SELECTED
from kun.tables.shards import write_dataset, write_json

STAGES = {
    "stages": {
        "select": {
            "cmd": "kun select",
            "params": ["select.top"],
            "outs": ["data/selected"],
            "metrics": [{"metrics.json": {"cache": False}}],
        }
    }
}


def row(number: int, **values: Any) -> dict[str, Any]:
    """A pair; equal numbers have equal ids."""
    return {
        "id": text_id(str(number)),
        "instruction": f"第{number}个问题是什么？",
        "input": "",
        "output": f"第{number}个回答。",
        "source": "forum",
        "method": "kun",
        "licence": "CC0-1.0",
        "p_good": number / 100,
        "rank": number,
        **values,
    }


@dataclass(frozen=True)
class Versions:
    """The project, and how its versions come about."""

    root: Path

    def write(self, rows: list[dict[str, Any]], top: float = 1.0, reasons: dict[str, int] | None = None) -> None:
        """The workspace holds these rows."""
        params = {"select": {"top": top}, "judge": {"threshold": 0.4}}
        (self.root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        empty = pl.DataFrame(schema=SELECTED)
        frame = pl.concat([empty, pl.DataFrame(rows, schema_overrides=SELECTED)], how="diagonal").select(list(SELECTED))
        write_dataset(Project(self.root).dataset("selected"), frame, SELECTED)
        counts = {
            "stage": "select",
            "rows_in": 9,
            "kept": len(rows),
            "dropped": 0,
            "failed": 0,
            "reasons": reasons or {},
        }
        write_json(Project(self.root).counts("select"), counts)
        write_json(self.root / "metrics.json", {"pairs": len(rows), "gates": 1})
        pin = {"name": "tiny", "fingerprint": text_id(str(len(rows)))}
        write_json(self.root / "models" / "base.json", pin)

    def commit(self, tag: str) -> None:
        """What the workspace holds, as a version."""
        with chdir(self.root):
            Repo().commit("select", force=True)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", tag)
        self.git("tag", tag)

    def git(self, *words: str) -> None:
        subprocess.run(["git", "-C", str(self.root), *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """v1: rows 0 to 9. v2: 0 to 7 with another answer of row 3, and rows 10 to 12 of another source. Workspace: v2 without 0."""
    root = tmp_path_factory.mktemp("versions")
    found = Versions(root)
    found.git("init", "-q", "-b", "main")
    found.git("config", "user.name", "test")
    found.git("config", "user.email", "test@example.org")
    Repo.init(str(root))
    (root / "dvc.yaml").write_text(yaml.safe_dump(STAGES), encoding="utf-8")
    found.write([row(number) for number in range(10)], reasons={"top": 3})
    found.commit("v1")
    second = [row(number) for number in range(8)]
    second[3] |= {"output": "<script>alert(1)</script> | [x](http://example.org)", "p_good": 0.9}
    second[4] |= {"p_good": 0.5}
    second += [row(number, source="optics", method="glan") for number in range(10, 13)]
    found.write(second, top=0.5, reasons={"top": 5, "quota": 1})
    found.commit("v2")
    found.write(second[1:], top=0.5, reasons={"top": 6, "quota": 1})
    for name, numbers in (("random", [1, 2, 5]), ("longest", [2, 5, 9])):
        arm = pl.DataFrame([row(n) for n in numbers], schema_overrides=SELECTED)
        rows = pl.concat([pl.DataFrame(schema=SELECTED), arm], how="diagonal").select(list(SELECTED))
        write_dataset(Project(root).dataset("arms") / name, rows, SELECTED)
    return found
