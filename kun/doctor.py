"""What stands between this machine and a run, each finding with its fix."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kun.config import load_params
from kun.errors import KunError
from kun.models import find
from kun.project import Project
from kun.start.code import CODE, verify

NEEDED_GB = 5  # the demo model as GGUF and as float32 safetensors, checkpoints, caches
PACKAGES = ("torch", "transformers", "accelerate", "peft", "polars", "dvc", "great-expectations", "click")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    text: str


def examine(project: Project | None = None) -> list[Finding]:
    """Look at everything; never raises for what it finds."""
    project = project or Project()
    return [
        _packages(),
        _params(project),
        *_code(project),
        _model(project),
        _disk(project),
        _device(),
        _dvc(project),
        _identity(project),
    ]


def _packages() -> Finding:
    versions, missing = [], []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    text = f"missing {', '.join(missing)}; run `make env`" if missing else ", ".join(versions)
    return Finding("packages", not missing, text)


def _params(project: Project) -> Finding:
    try:
        load_params(project.root / "params.yaml")
    except KunError as error:
        return Finding("params.yaml", False, str(error))
    return Finding("params.yaml", True, "valid")


def _code(project: Project) -> list[Finding]:
    """Only of a project that `kun init` made."""
    try:
        verify(project)
    except KunError as error:
        return [Finding("code", False, str(error))]
    return [Finding("code", True, f"that of {CODE}")] if (project.root / CODE).is_file() else []


def _model(project: Project) -> Finding:
    try:
        return Finding("base model", True, find(project, load_params(project.root / "params.yaml").model))
    except KunError as error:
        return Finding("base model", False, str(error))


def _disk(project: Project) -> Finding:
    place = project.scratch
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    return Finding("disk", free >= NEEDED_GB, f"{free:.0f} GB free for scratch in {place} (the demo needs {NEEDED_GB})")


def _device() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("device", False, "torch is not installed; run `make env`, or pip install torch")
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        hint = "" if len(names) == 1 else "; use all of them with params `launch`"
        return Finding("device", True, f"{len(names)} GPU: {', '.join(sorted(set(names)))}{hint}")
    native = "native bfloat16" if torch.cpu._is_amx_tile_supported() else "float32"
    return Finding("device", True, f"processor, {os.cpu_count()} cores, {native}; no GPU found")


def _dvc(project: Project) -> Finding:
    ok = (project.root / ".dvc").is_dir()
    return Finding("dvc", ok, "repository found" if ok else "no .dvc folder; run `dvc init`")


def _identity(project: Project) -> Finding:
    if shutil.which("git") is None:
        return Finding("git identity", False, "git not found; install it, DVC needs it")
    missing = [key for key in ("user.name", "user.email") if not _git(project.root, "config", key)]
    if missing:
        fix = f"{' and '.join(missing)} not set; `dvc exp run --queue` needs it: git config {missing[0]} ..."
        return Finding("git identity", False, fix)
    return Finding("git identity", True, "set (queued experiments work)")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip()
