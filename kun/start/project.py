"""`kun init` and `kun upgrade`: the files of a project, from the installed package."""

import hashlib
import logging
import shutil
import subprocess
from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from kun.errors import InputError
from kun.project import Project
from kun.start import skeleton
from kun.start.code import CODE, for_installed, parts, read_code, write_code
from kun.start.undo import Undo, taken_back_on_error
from kun.tables.shards import write_text

GROWING = (".gitignore", ".dvcignore")
"""Lists of patterns: one that is there already gets the lines that it lacks."""
DVC_CONFIG = ".dvc/config"
SETTINGS = ("dvc.yaml", "params.yaml", "expectations", "pipelines", "configs")
"""What `kun upgrade` renews; the rest is data, and the user's."""
NAMED = 5

Files = dict[str, bytes]


@dataclass(frozen=True)
class Renewed:
    """Which files of a project an upgrade has replaced, and which it left, with the new one beside them."""

    before: str
    replaced: list[str]
    beside: list[str]


def create(folder: Path) -> int:
    """Make a project in `folder` (made if missing), with git where it is installed, and DVC; returns the number of files.

    InputError when a file of it is there already: nothing is written then. What an error or Ctrl-C interrupts leaves nothing
    behind, no folder and no line.
    """
    files = _files()
    blocked = sorted(name for name in [*files, CODE, ".dvc"] if name not in GROWING and (folder / name).exists())
    if blocked:
        more = f" and {len(blocked) - NAMED} more" if len(blocked) > NAMED else ""
        raise InputError(
            f"{folder} already has {', '.join(blocked[:NAMED])}{more}: nothing was written;"
            " move them away, or name another folder (`kun upgrade` renews a project)"
        )
    config = files[DVC_CONFIG].decode()
    new = [CODE, *(name for name in files if name != DVC_CONFIG and not (folder / name).exists())]
    with taken_back_on_error() as made:
        for name, content in files.items():
            if name != DVC_CONFIG:
                _write(folder / name, content, made)
        made.file(folder / CODE)
        _write_code(folder, files)
        _version_control(folder, config, made)
    return len(new)


def upgrade(project: Project) -> Renewed:
    """Renew code.yaml and the settings that nobody has edited; a new one that differs from an edited one becomes NAME.new."""
    known = read_code(project)
    if known is None:
        raise InputError(f"no {CODE} here: kun upgrade is for a project that kun init made")
    files = {name: content for name, content in _files().items() if name.startswith(SETTINGS)}
    replaced, beside = [], []
    for name, content in files.items():
        path = project.root / name
        own = _sha(path.read_bytes()) if path.is_file() else None
        if own == _sha(content):
            continue
        if own == known["files"].get(name):  # as it was written, or new in this version
            write_text(path, content.decode())
            replaced.append(name)
        elif known["files"].get(name) != _sha(content):
            write_text(path.with_name(f"{path.name}.new"), content.decode())
            beside.append(name)
    _write_code(project.root, files)
    return Renewed(known["version"], replaced, beside)


def _files() -> Files:
    """Name -> content of every file of a new project."""
    root = skeleton.home()
    files = {name: (root / name).read_bytes() for name in skeleton.names(root)}
    for name in files:
        if Path(name).name == "dvc.yaml":
            files[name] = for_installed(files[name].decode()).encode()
    return files


def _write_code(folder: Path, files: Mapping[str, bytes]) -> None:
    root = skeleton.home()
    pipelines = [(root / name).read_text(encoding="utf-8") for name in files if Path(name).name == "dvc.yaml"]
    settings = {name: _sha(content) for name, content in files.items() if name.startswith(SETTINGS)}
    write_code(folder, parts(pipelines), settings)


def _write(path: Path, content: bytes, made: Undo) -> None:
    made.folder(path.parent)
    made.file(path)
    if path.exists():  # one of GROWING
        own = path.read_text(encoding="utf-8").splitlines()
        missing = [line for line in content.decode().splitlines() if line not in own]
        write_text(path, "\n".join([*own, *missing]) + "\n")
        return
    path.write_bytes(content)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _version_control(folder: Path, config: str, made: Undo) -> None:
    """`git init` unless the folder is in a repository already, then `dvc init` with our settings."""
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)  # what comes next is told by `kun init`
    has_git = shutil.which("git") is not None
    inside = has_git and _git(folder, "rev-parse", "--show-toplevel")
    for name in ("index", "index.lock") if inside else ():
        made.file(folder / _git(folder, "rev-parse", "--git-path", name))  # DVC adds its files to it
    made.tree(folder / ".dvc")
    if has_git and not inside:
        made.tree(folder / ".git")
        _git(folder, "init", "-q")
    top = Path(inside).resolve() if inside else folder.resolve()
    with Repo.init(str(folder), no_scm=not has_git, subdir=has_git and top != folder.resolve()) as repo:
        wanted = ConfigParser()
        wanted.read_string(config)
        with repo.config.edit("repo") as settings:
            for section in wanted.sections():
                values = {key: value.strip('"') for key, value in wanted[section].items()}
                settings.setdefault(section, {}).update(values)


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
