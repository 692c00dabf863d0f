"""code.yaml: the installed code as stages see it.

In the repository of kun a stage depends on folders such as kun/corpus, and runs again when they change. Where kun is installed
there are no such folders: the stage depends on the key `corpus` of code.yaml instead. So an upgrade runs those stages again
whose code has changed, and no others.
"""

import hashlib
import io
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from kun.errors import ConfigError
from kun.project import Project
from kun.tables.shards import write_text

CODE = "code.yaml"
HEADER = (
    "# The installed kun, as stages see it. Written by `kun init` and `kun upgrade`, never by hand; belongs into git.\n"
)
PACKAGE = Path(__file__).parents[1]


def parts(pipelines: Iterable[str]) -> dict[str, str]:
    """What of the package the texts of dvc.yaml files depend on -> hash of its files: `kun/corpus` is the part `corpus`."""
    named = {name for text in pipelines for name in re.findall(r"\bkun/(\w+)", text)}
    return {name: _hash(name) for name in sorted(named)}


def _hash(part: str) -> str:
    place = PACKAGE / part
    files = place.rglob("*") if place.is_dir() else [place.with_suffix(".py")]
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path for path in files if path.is_file() and path.parent.name != "__pycache__"):
        digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def for_installed(text: str) -> str:
    """A dvc.yaml whose stages depend on keys of code.yaml where they depended on files of this repository."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    editor = YAML()  # keeps comments, order and the quotes of strings
    editor.preserve_quotes, editor.width = True, 10_000
    editor.indent(mapping=2, sequence=4, offset=2)
    tree = editor.load(text)
    for stage in tree["stages"].values():
        body = stage.get("do", stage)
        code = [dep for dep in body.get("deps", []) if dep.startswith("kun/")]
        if not code:
            continue
        for dep in code:
            body["deps"].remove(dep)
        watched = CommentedSeq([re.findall(r"\w+", dep)[1] for dep in code])
        watched.fa.set_flow_style()
        if "params" not in body:
            body.insert(list(body).index("deps") + 1, "params", CommentedSeq())
        body["params"].append(CommentedMap({CODE: watched}))
        if not body["deps"]:
            del body["deps"]
    stream = io.StringIO()
    editor.dump(tree, stream)
    return stream.getvalue()


def write_code(root: Path, installed: dict[str, str], files: dict[str, str]) -> None:
    """Replace code.yaml: version, the hash of each part, and that of each file as it was written into the project."""
    told = {"version": version("kun"), **installed, "files": files}
    write_text(root / CODE, HEADER + yaml.safe_dump(told, sort_keys=False))


def read_code(project: Project) -> dict[str, Any] | None:
    """code.yaml; None where there is none, as in the repository of kun; ConfigError when it was spoilt."""
    path = project.root / CODE
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict) or not {"version", "files"} <= found.keys():
        raise ConfigError(f"{path} was spoilt; bring it back: git checkout {CODE}")
    return found


def verify(project: Project) -> None:
    """ConfigError when the installed code is not that of code.yaml: DVC would take old results for those of new code."""
    if (found := read_code(project)) is None:
        return
    changed = [name for name in found.keys() - {"version", "files"} if not _is(name, found[name])]
    if found["version"] != version("kun") or changed:
        raise ConfigError(
            f"{CODE} is of kun {found['version']}, but {version('kun')} is installed"
            + (f", with other code ({', '.join(sorted(changed))})" if found["version"] == version("kun") else "")
            + f"; run `kun upgrade`, or pip install kun=={found['version']}"
        )


def _is(part: str, known: Any) -> bool:
    exists = (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").is_file()
    return exists and _hash(part) == known
