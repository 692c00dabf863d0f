"""Copies of this project in a temporary folder, with a tiny base model: what the tests of the whole pipeline run on.

Stages start as users start them: `dvc` and `kun` as processes, found on PATH, in the copy's folder. PYTHONPATH leads with
the copy, so that its code and prompts count and not those of the repository.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kun.project import Project

ROOT = Path(__file__).parents[1]
OFFLINE_GUARD = Path(__file__).parent / "offline"

OFFLINE = {
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DVC_NO_ANALYTICS": "1",
}
PROXIES = ("http_proxy", "https_proxy", "all_proxy")

TINY: dict[str, Any] = {
    "model.licence": "CC0-1.0",
    "engine.max_rows": 4,  # many batches
    "perplexity.max_tokens": 32,
    "corpus.low_percentile": 0.0,
    "corpus.high_percentile": 1.0,
    "corpus.limit": 0,
    "seeds.heldout": 0.2,
    "train.lora_rank": 4,
    "train.lora_alpha": 8,
    "train.lora_layers": "all",
    "train.learning_rate": 5.0e-3,
    "train.batch_rows": 8,
    "train.save_steps": 2,
    "train.label": {"epochs": 4, "tasks": {"label": 0}},
    "train.chat": {"epochs": 4, "tasks": {"answer": 12, "judge": 24, "polish": 12}},
    "evaluate.judge_rows": 6,
    "evaluate.label_rows": 4,
    "label.temperature": 0.7,  # greedy, the tiny model says the same of every text
    "label.max_new_tokens": 96,
    "instructions.max_copied_share": 1.0,
    "instructions.dup_threshold": 1.0,
    "judge.floor": 0.0,
    "judge.threshold": 0.0,
    "polish.temperature": 0.7,
    "polish.max_new_tokens": 128,
    "polish.min_text_tokens": 8,
    "pairs.min_distinct_4gram": 0.0,
    "pairs.min_support": 0.0,
    "pairs.min_cjk_share": 0.01,  # the gate asks for a Chinese character
    "pairs.max_repeats": 1000,
}
"""What a tiny run changes in params.yaml: little work, and no rule that asks for sense in what the tiny model writes."""


@dataclass(frozen=True)
class Copy:
    """A project in its own git repository, and the environment in which its stages run."""

    root: Path
    scratch: Path

    @property
    def project(self) -> Project:
        """For readers of its datasets."""
        return Project(self.root)

    @property
    def env(self) -> dict[str, str]:
        """Offline, this interpreter's scripts first on PATH, scratch and DVC's site files beside the copy."""
        inherited = {key: value for key, value in os.environ.items() if key.lower() not in PROXIES}
        return {
            **inherited,
            **OFFLINE,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{self.root}{os.pathsep}{OFFLINE_GUARD}",
            "KUN_SCRATCH": str(self.scratch),
            "OMP_NUM_THREADS": "1",  # threads gain a tiny model nothing, and lose much on a busy machine
            "DVC_SITE_CACHE_DIR": str(self.scratch.with_name("dvc-site")),
        }

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run to the end, output captured."""
        return subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)

    def must(self, *command: str) -> str:
        """Run to the end and return what it printed; AssertionError unless it exits 0."""
        done = self.run(*command)
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(command)} exits {done.returncode}\n{told[-6000:]}"
        return told

    def set_params(self, values: Mapping[str, Any]) -> None:
        """Set dotted keys of params.yaml, which must exist."""
        path = self.root / "params.yaml"
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        for dotted, value in values.items():
            *parents, leaf = dotted.split(".")
            section = tree
            for name in parents:
                section = section[name]
            assert leaf in section, f"params.yaml has no key {dotted}"
            section[leaf] = value
        path.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def counts(self, stage: str) -> dict[str, Any]:
        """reports/counts/<stage>.json."""
        counts: dict[str, Any] = json.loads(self.project.counts(stage).read_text(encoding="utf-8"))
        return counts

    def commit(self) -> None:
        """Everything that git sees."""
        self.must("git", "add", "-A")
        self.must("git", "commit", "-q", "--allow-empty", "-m", "state")


def copy_project(folder: Path, tiny_base: Path, **overrides: Any) -> Copy:
    """The sources of this repository in `folder`/project, small data and small work; `section__key` overrides params."""
    copy = copied(folder)
    for name in _source_files():
        target = copy.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    shrink(copy.root / "data")
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    copy.set_params({**TINY, "model.base": str(tiny_base), **given})
    copy.must("git", "init", "-q", "-b", "main")
    copy.must("git", "config", "user.name", "test")
    copy.must("git", "config", "user.email", "test@example.org")
    copy.commit()
    return copy


def copied(folder: Path) -> Copy:
    """What `copy_project` makes in a folder."""
    return Copy(folder / "project", folder / "scratch")


def duplicate(copy: Copy, folder: Path) -> Copy:
    """The copy as it is, products, DVC cache and scratch included, in another folder."""
    for part in (copy.root, copy.scratch):
        shutil.copytree(part, folder / part.name, symlinks=True)
    return copied(folder)


def _source_files() -> list[str]:
    """What git tracks or would track, without anything that a stage writes; only that a run needs."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    settings = (
        "kun/",
        "expectations/",
        "configs/",
        "pipelines/",
        "dvc.yaml",
        "params.yaml",
        ".dvcignore",
        ".gitignore",
        ".dvc/config",
    )
    inputs = ("data/raw/", "data/seed/", "data/eval/", "data/unsafe/", "data/datasets/", "data/votes/", "models/kenlm/")
    return [name for name in listed if name.startswith((*settings, *inputs)) and (ROOT / name).is_file()]


def shrink(data: Path) -> None:
    """Cut the samples down; each kind of file stays, and the natural dirt."""
    for name, n_lines in (("raw/encyclopedia.jsonl", 14), ("raw/forum.csv", 12), ("seed/seeds.jsonl", 60)):
        _keep_lines(data / name, n_lines)
    howto = data / "raw/howto.jsonl.gz"
    howto.write_bytes(gzip.compress(b"\n".join(gzip.decompress(howto.read_bytes()).split(b"\n")[:8]), mtime=0))
    for name in ("city.txt", "nature.txt", "science.txt"):
        (data / "raw/essays" / name).unlink()
    seeds = data / "seed/seeds.jsonl"
    seeds.write_text("".join(_brief(line) for line in seeds.open(encoding="utf-8")), encoding="utf-8")


def _brief(line: str) -> str:
    """A seed pair with about a sentence as its output, so that the tiny model learns to come to an end."""
    pair = json.loads(line)
    return json.dumps(pair | {"output": pair["output"][:30].rstrip("，、。") + "。"}, ensure_ascii=False) + "\n"


def _keep_lines(path: Path, count: int) -> None:
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:count]) + b"\n")
