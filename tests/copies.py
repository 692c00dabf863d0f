"""Copies of this project in a temporary folder, with a tiny base model: what the tests of the whole pipeline run on.

Stages start as users start them: `dvc` and `kun` as processes, found on PATH, in the copy's folder. PYTHONPATH leads with
the copy, so that its code and prompts count and not those of the repository.
"""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from kun.project import Project

ROOT = Path(__file__).parents[1]
PRODUCTS = ("data", "models", "reports", "dvc.lock", "metrics.json")
"""Top-level names that stages write; of `data` the samples are source."""
SAMPLES = ("data/raw/", "data/seed/", "data/eval/")

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

TINY: dict[str, Any] = {
    "model.licence": "CC0-1.0",
    "engine.max_rows": 8,  # many batches
    "perplexity.max_tokens": 32,
    "corpus.low_percentile": 0.0,
    "corpus.high_percentile": 1.0,
    "corpus.limit": 0,
    "seeds.heldout": 0.2,
    "train.lora_rank": 4,
    "train.lora_alpha": 8,
    "train.lora_layers": "all",
    "train.learning_rate": 5.0e-3,
    "train.save_steps": 4,
    "train.label": {"epochs": 2, "tasks": {"label": 0}},
    "train.chat": {"epochs": 2, "tasks": {"answer": 12, "judge": 24, "polish": 12}},
    "evaluate.judge_rows": 6,
    "evaluate.label_rows": 4,
    "label.temperature": 1.0,  # greedy, the tiny model says the same of every text
    "label.max_new_tokens": 48,
    "instructions.min_chars": 4,
    "instructions.max_copied_share": 1.0,
    "instructions.dup_threshold": 1.0,
    "judge.floor": 0.0,
    "judge.threshold": 0.0,
    "polish.temperature": 1.0,
    "polish.max_new_tokens": 96,
    "polish.min_text_tokens": 8,
    "pairs.min_distinct_4gram": 0.0,
    "pairs.min_support": 0.0,
    "pairs.min_cjk_share": 0.0,
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
        """Offline, with this interpreter's scripts first on PATH, its own scratch and DVC's site files inside the copy."""
        inherited = {key: value for key, value in os.environ.items() if key.lower() not in PROXIES}
        guard = Path(__file__).parent / "offline"
        return inherited | OFFLINE | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{self.root}{os.pathsep}{guard}",
            "KUN_SCRATCH": str(self.scratch),
            "DVC_SITE_CACHE_DIR": str(self.root.parent / f"{self.root.name}-dvc-site"),
        }

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run to the end, output captured."""
        return subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)

    def must(self, *command: str) -> str:
        """Run to the end and return stdout + stderr; AssertionError with the output unless it exits 0."""
        done = self.run(*command)
        assert done.returncode == 0, f"{' '.join(command)} exits {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-6000:]}"
        return done.stdout + done.stderr

    def params(self, **values: Any) -> None:
        """Set dotted keys of params.yaml (`__` for the dots)."""
        path = self.root / "params.yaml"
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        for dotted, value in values.items():
            *parents, leaf = dotted.replace("__", ".").split(".")
            section = tree
            for name in parents:
                section = section[name]
            assert leaf in section, f"no key {dotted} in params.yaml"
            section[leaf] = value
        path.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def counts(self, stage: str) -> dict[str, Any]:
        """reports/counts/<stage>.json."""
        counts: dict[str, Any] = json.loads(self.project.counts(stage).read_text(encoding="utf-8"))
        return counts

    def commit(self) -> None:
        """Everything that git sees."""
        self.must("git", "add", "-A")
        self.must("git", "commit", "-qm", "state", "--allow-empty")
