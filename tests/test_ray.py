"""A real cluster of two raylets, one of which dies: the same bytes as without a cluster."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kun.project import Project
from tests.copies import ROOT
from tests.corpus.conftest import random_text
from tests.ray_cluster import run_stages

pytest.importorskip("ray")

FILES, ROWS = 12, 1_200


def make_raw(folder: Path) -> Path:
    """Files of more than half a megabyte, so that each is a piece of its own; a third of the texts come twice."""
    source = random.Random(11)
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "data" / "eval").mkdir()
    texts: list[str] = []
    for number in range(FILES):
        new = [random_text(source, 120) for _ in range(ROWS)]
        texts += new
        lines = [json.dumps({"text": text}, ensure_ascii=False) for text in new + source.sample(texts, ROWS // 2)]
        (folder / "data" / "raw" / f"{number:02d}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "data" / "eval" / "a.jsonl").write_text(json.dumps({"question": texts[7]}), encoding="utf-8")
    return folder


def on_cluster(folder: Path, nodes: int, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.ray_cluster", str(folder), str(nodes), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def content(folder: Path) -> dict[str, str]:
    """Hash of every file that the stages wrote."""
    files = [path for part in ("data", "reports") for path in sorted((folder / part).rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_one_node_two_nodes_and_a_killed_one_give_the_same_bytes(tmp_path: Path) -> None:
    alone = make_raw(tmp_path / "alone")
    run_stages(Project(alone), "processes")
    wanted = content(alone)
    assert sum(name.startswith("data/decontaminated") for name in wanted) > FILES // 2
    assert content(made_on(tmp_path / "one", 1)) == wanted
    assert content(made_on(tmp_path / "two", 2)) == wanted
    hurt = make_raw(tmp_path / "hurt")
    told = on_cluster(hurt, 2, "--kill")
    killed = re.search(r"^killed after (\d+)$", told, re.MULTILINE)  # the head's own log lines may stand before it
    assert killed, told
    assert int(killed[1]) < FILES, "the node must go before the work is done"
    assert content(hurt) == wanted


def made_on(folder: Path, nodes: int) -> Path:
    on_cluster(make_raw(folder), nodes)
    return folder
