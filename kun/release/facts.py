"""What a run left behind: models, training, gates, evaluation, evidence. Whatever is missing is None or empty."""

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from kun.errors import InputError
from kun.params import Engine, Source
from kun.project import Project
from kun.tables.shards import read_dataset

Facts = dict[str, Any]

ADAPTERS = ("label", "chat")
DECIDING = ("params.yaml", "dvc.yaml", "expectations", "kun", "code.yaml")
"""What decides the data, beside the data itself."""
CLOCK = {"s", "ms", "second", "seconds", "time", "timestamp", "date", "wall", "elapsed", "duration"}
"""Words in the names of facts that differ from run to run; a page must not."""


def read_json(path: Path) -> Facts | None:
    """The object in `path`, None when there is no such file; InputError when it cannot be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); delete it and run its stage again") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} must hold a JSON object; delete it and run its stage again")
    return value


def optional_dataset(project: Project, name: str, columns: list[str]) -> pl.DataFrame | None:
    """Some columns of a dataset, None when it was never made."""
    folder = project.dataset(name)
    return read_dataset(folder, columns) if folder.is_dir() else None


def base_model(project: Project) -> Facts | None:
    """models/base.json; a local folder is named without its path, which is nobody else's business."""
    base = read_json(project.base)
    if base is None:
        return None
    return base | {"name": public_name(base["name"])}


def served(engine: Engine) -> dict[str, str]:
    """What a server calls the models that did the work of `label` and `chat`; {} where it was done here.

    Neither a place nor a key is told, and of a path its last part.
    """
    if engine.backend != "openai":
        return {}
    return {role: public_name(name) for role in ADAPTERS if (name := engine.server.model(role))}


def public_name(model: str) -> str:
    """A hub id or package as it is, of a local path its last part: `~/models/qwen` -> `qwen`."""
    named = model.startswith(("/", ".", "~", "\\")) or model.lower().endswith(".gguf")
    local = named or model.count("/") > 1 or Path(model).is_dir()
    return re.split(r"[/\\]", model.rstrip("/\\"))[-1] if local else model


def training(project: Project) -> list[Facts]:
    """For each trained adapter its `name`, `facts` (dotted key -> number or word) and `history` (epochs, in order)."""
    found: list[Facts] = []
    for name in ADAPTERS:
        folder = project.root / "reports" / "train"
        files = [read_json(path) for path in (folder / f"{name}.json", *sorted((folder / name).glob("*.json")))]
        present = [file for file in files if file is not None]
        if present:
            history: list[Facts] = next((file["history"] for file in present if file.get("history")), [])
            found.append({"name": name, "facts": flat(present[0]), "history": history})
    return found


def gates(project: Project, sources: Iterable[Source] = ()) -> list[Facts]:
    """For each gate that has run: `dataset`, `passed`, how many `expectations` it has, `failed` and `skipped`, and the
    `page` that tells more (from reports/, "" when there is none).

    Of the main line, and of the pipelines that the `sources` of a mix come from.
    """
    folders = {project.root / "reports" / "checks", *((project.root / source.gate).parent for source in sources)}
    found = []
    for path in (path for folder in sorted(folders) for path in sorted(folder.glob("*.json"))):
        result = read_json(path) or {}
        found.append(
            {
                "dataset": result.get("dataset", path.stem),
                "passed": result.get("success") is True,  # `passed` in the file is a number of expectations
                "expectations": len(result.get("expectations", [])),
                "failed": result.get("failed", 0),
                "skipped": result.get("skipped", 0),
                "page": _page(project, path.with_suffix(".html")),
            }
        )
    return found


def _page(project: Project, path: Path) -> str:
    reports = project.root / "reports"
    return path.relative_to(reports).as_posix() if path.is_file() and path.is_relative_to(reports) else ""


def evaluation(project: Project) -> Facts:
    """reports/evaluate.json as dotted key -> number or word."""
    return flat(read_json(project.root / "reports" / "evaluate.json") or {})


def flat(facts: Facts, above: str = "") -> Facts:
    """Nested objects as dotted keys; lists, empty values and clock times are left out."""
    found: Facts = {}
    for key, value in facts.items():
        if isinstance(value, dict):
            found |= flat(value, f"{above}{key}.")
        elif isinstance(value, str | int | float) and value != "" and not CLOCK & set(re.split(r"[._]", key)):
            found[f"{above}{key}"] = value
    return found


def means(project: Project, pairs: pl.LazyFrame) -> dict[str, float]:
    """Means over the pairs: scores, lengths in characters, length ratio of polishing; a mean of nothing is left out."""
    scores = ("p_good", "copy_rate", "support")
    lengths = {"instruction_chars": "instruction", "answer_chars": "output"}
    asked = [pl.col(name).mean() for name in scores]
    asked += [pl.col(column).str.len_chars().mean().alias(name) for name, column in lengths.items()]
    found = pairs.select(asked).collect(engine="streaming").row(0, named=True)
    found |= {"length_ratio": _length_ratio(project, pairs)}
    order = (*scores, "length_ratio", *lengths)
    return {name: float(found[name]) for name in order if isinstance(found[name], int | float)}


def _length_ratio(project: Project, pairs: pl.LazyFrame) -> Any:
    polished = optional_dataset(project, "polished", ["id", "length_ratio"])
    if polished is None:
        return None
    return pairs.select("id").collect(engine="streaming").join(polished, on="id")["length_ratio"].mean()


def commit(project: Project) -> str | None:
    """The last commit that touched what decides the data, with a note when that has changed since; None outside git.

    Not HEAD: committing results must not change them.
    """
    last = _git(project, "log", "-1", "--format=%H", "--", *DECIDING)
    if last is None or last.returncode != 0 or not last.stdout.strip():
        return None
    changed = _git(project, "diff", "--quiet", "HEAD", "--", *DECIDING)
    dirty = changed is not None and changed.returncode == 1
    return last.stdout.strip() + (" with uncommitted changes" if dirty else "")


def _git(project: Project, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            ["git", "-C", str(project.root), *arguments], capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError:  # a machine without git
        return None
