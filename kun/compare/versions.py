"""A version of the project: what git holds of it, and where its datasets lie in the cache of DVC."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo
from dvc.repo.experiments.utils import exp_refs
from dvc.scm import NoSCM, RevError, SCMError, resolve_rev

from kun.errors import InputError
from kun.project import Project
from kun.tables.shards import shards

WORKSPACE = "workspace"
SHORT = 8
"""Digits of a commit that people read."""
NEAREST = 3


@dataclass(frozen=True)
class Version:
    """One state of the project; the workspace has no commit."""

    name: str
    commit: str
    """"" for the workspace."""
    repo: Repo
    root: Path

    @property
    def title(self) -> str:
        """Its name, with the commit where the name is none."""
        told = f" ({self.commit[:SHORT]})" if self.commit and not self.commit.startswith(self.name) else ""
        return f"{self.name}{told}"

    def text(self, path: str) -> str | None:
        """A file that git holds; None when this version has none."""
        if not self.commit:
            file = self.root / path
            return file.read_text(encoding="utf-8") if file.is_file() else None
        fs = self.repo.scm.get_fs(self.commit)
        place = "/".join([*self._prefix, path])
        return fs.open(place, mode="r", encoding="utf-8").read() if fs.isfile(place) else None

    def json(self, path: str) -> dict[str, Any]:
        """An object; empty when there is no such file. InputError when it is no JSON."""
        try:
            return dict(json.loads(self.text(path) or "{}"))
        except ValueError as error:
            raise InputError(f"{path} of {self.title} is not valid JSON ({error})") from None

    def listed(self, folder: str) -> list[str]:
        """Names of the files in a folder that git holds."""
        if not self.commit:
            return sorted(file.name for file in (self.root / folder).glob("*") if file.is_file())
        fs = self.repo.scm.get_fs(self.commit)
        place = "/".join([*self._prefix, folder])
        return sorted(Path(name).name for name in fs.ls(place, detail=False)) if fs.isdir(place) else []

    @cached_property
    def params(self) -> dict[str, Any]:
        """params.yaml as it is, empty when there is none."""
        return yaml.safe_load(self.text("params.yaml") or "") or {}

    @cached_property
    def lock(self) -> dict[str, Any]:
        """Stages of dvc.lock."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self.text("dvc.lock") or "")  # in C ten times as fast
        return dict((loader.get_single_data() or {}).get("stages", {}))

    def dataset(self, name: str) -> list[Path]:
        """The shards of data/<name>. InputError when this version has none, or when its objects are not in the cache."""
        if not self.commit:
            return shards(Project(self.root).dataset(name))
        path = f"data/{name}"
        oid = next((oid for out, oid in self._outs() if out == path), None)
        if oid is None:
            raise InputError(f"{self.title} has no {path}: its dvc.lock names no such output")
        return [file for name, file in self._files(path, oid) if name.endswith(".parquet")]

    def _outs(self) -> Iterable[tuple[str, str]]:
        for stage in self.lock.values():
            yield from ((out["path"], out["md5"]) for out in stage.get("outs", []) if "md5" in out)

    def _files(self, path: str, oid: str) -> list[tuple[str, Path]]:
        """Names in a folder that DVC holds -> where its cache has them."""
        listing = self._cached(oid)
        self._require(path, [listing])
        entries = json.loads(listing.read_text(encoding="utf-8"))
        files = [(entry["relpath"], self._cached(entry["md5"])) for entry in entries]
        self._require(path, [file for _, file in files])
        return sorted(files)

    def _cached(self, oid: str) -> Path:
        return Path(self.repo.cache.local.oid_to_path(oid))

    def _require(self, path: str, files: list[Path]) -> None:
        if missing := [file for file in files if not file.is_file()]:
            objects = ", ".join(file.parent.name + file.name for file in missing[:NEAREST])
            more = ", …" if len(missing) > NEAREST else ""
            raise InputError(
                f"{len(missing)} of {len(files)} objects of {path} at {self.title} are not in the cache ({objects}{more}); "
                f"`dvc fetch --all-commits {path}` brings them, of an experiment `dvc exp pull origin {self.name}`"
            )

    @property
    def _prefix(self) -> tuple[str, ...]:
        """Folders between the git repository and the project."""
        return Path(self.root.resolve()).relative_to(Path(self.repo.scm.root_dir).resolve()).parts


def open_repo(root: Path) -> Repo:
    """The DVC repository of the project; InputError outside of one, or without git."""
    try:
        repo = Repo(str(root))
    except NotDvcRepoError:
        raise InputError(
            f"{root.resolve()} is no DVC repository; run kun in the project's folder, or `dvc init`"
        ) from None
    except DvcException as error:
        raise InputError(f"DVC cannot open the project: {error}") from None
    if isinstance(repo.scm, NoSCM):
        raise InputError(f"{root.resolve()} is not under git: there are no revisions to compare; `git init` begins")
    return repo


def version(repo: Repo, root: Path, name: str) -> Version:
    """A branch, tag, commit or experiment by its name, or the workspace; InputError with the nearest for an unknown one."""
    if name == WORKSPACE:
        return Version(WORKSPACE, "", repo, root)
    try:
        return Version(name, str(resolve_rev(repo.scm, name)), repo, root)
    except (RevError, SCMError):
        known = names(repo)
        near = difflib.get_close_matches(name, known, n=NEAREST, cutoff=0.5)
        hint = (
            f"nearest: {', '.join(near)}"
            if near
            else f"there are {', '.join(known[:8])}{', …' if len(known) > 8 else ''}"
        )
        raise InputError(f"no revision or experiment {name!r}; {hint}") from None


def names(repo: Repo) -> list[str]:
    """Branches, tags and experiments."""
    scm = repo.scm
    experiments = sorted({ref.name for ref in exp_refs(scm)})
    return [WORKSPACE, *scm.list_branches(), *scm.list_tags(), *experiments]
