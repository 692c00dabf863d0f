"""`kun fetch`: the release of another project, of a folder or of the hub, whole and checked against its checksums."""

import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from kun.errors import InputError
from kun.release.checksums import SUMS, check_sums
from kun.tables.shards import place_beside

RELEASE = "data/release"
HUB_NAME = r"[\w.-]+/[\w.-]+"
CARD = "README.md"
LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
"""Name and password or token in an address, which no message repeats."""
STORES = ("dvc_data", "dvc_objects", "botocore", "asyncssh", "aiohttp", "builtins")
"""Packages whose errors tell of a store that cannot be read; `builtins`: OSError and its like."""


@dataclass(frozen=True)
class Fetched:
    """What came."""

    kind: str
    """folder, project or hub."""
    files: int
    checked: int | None
    """Files that its checksums name; None when it has none."""


def fetch(source: str, target: Path, rev: str = "") -> Fetched:
    """Bring the release of `source` into the folder `target`, which must not be there or be empty.

    `source` is a release folder, the folder or git URL of a project under DVC, or OWNER/NAME of a dataset on the hub. `rev` is a
    git revision, or one of the hub. InputError when it cannot be had, or is not what its SHA256SUMS says; `target` is then as
    before.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{target} is there already, and not empty; name another folder, or move it away")
    if target.resolve() == Path.cwd():
        raise InputError("DEST must not be the folder that you are in; name a new one, as in: kun fetch SOURCE tea")
    kind = _kind(source)
    if kind == "folder" and rev:
        raise InputError(f"--rev is for projects and the hub, and {source} is a folder of files")
    target.parent.mkdir(parents=True, exist_ok=True)
    building = place_beside(target)
    try:
        {"folder": _copied, "project": _from_project, "hub": _from_hub}[kind](source, building, rev)
        if not (building / CARD).is_file():
            raise InputError(f"{source} holds no release: {CARD} is missing")
        checked = check_sums(building)
        if checked is not None:
            _no_strangers(building, source)
        if target.exists():
            target.rmdir()
        os.replace(building, target)  # noqa: PTH105
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Fetched(kind, sum(path.is_file() for path in target.rglob("*")), checked)


def _no_strangers(release: Path, source: str) -> None:
    """InputError for a shard that the checksums do not name: whoever loads the release would read it too."""
    lines = (release / SUMS).read_text(encoding="utf-8").splitlines()
    named = {line[66:] for line in lines}  # behind 64 digits and two characters
    for shard in sorted(release.glob("data/*.parquet")):
        if (name := shard.relative_to(release).as_posix()) not in named:
            raise InputError(f"{source}: {name} is not in {SUMS}: left by an older release, or put there")


def _kind(source: str) -> str:
    """What a source is; InputError when it is none."""
    folder = Path(source)
    if folder.is_dir():
        if (folder / ".dvc").is_dir():
            return "project"
        if (folder / SUMS).is_file() or (folder / "dataset_info.json").is_file():
            return "folder"
        raise InputError(f"{source} is neither a release (no {SUMS}) nor a project under DVC (no .dvc)")
    if "://" in source or re.match(r"[\w.-]+@[\w.-]+:", source) or source.endswith(".git"):
        return "project"
    if re.fullmatch(HUB_NAME, source) and not source.startswith("."):
        return "hub"
    raise InputError(f"no folder {source}; a source is a folder, a git URL, or OWNER/NAME of a dataset on the hub")


def _copied(source: str, target: Path, rev: str) -> None:
    shutil.copytree(source, target)


def _from_project(source: str, target: Path, rev: str) -> None:
    from dvc.config import ConfigError as DvcConfigError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    logging.getLogger("dvc").setLevel(logging.CRITICAL)  # its errors are told below, in one line
    where = LOGIN.sub("***@", f"{source} at {rev}" if rev else source)
    try:
        Repo.get(source, RELEASE, out=str(target), rev=rev or None)
    except KeyError:
        raise InputError(
            f"{where} has no {RELEASE}: no release was made there, or its dvc.lock not committed"
        ) from None
    except (DvcException, DvcConfigError, SCMError) as error:
        raise InputError(_why(where, error)) from None
    except Exception as error:  # of the store behind the remote: botocore, asyncssh, aiohttp have errors of their own
        if type(error).__module__.split(".")[0] not in STORES:
            raise
        if str(error) == str([RELEASE]):
            raise InputError(f"{where} has no {RELEASE}: nothing was released there, or not committed") from None
        raise InputError(_why(where, error)) from None


def _why(where: str, error: Exception) -> str:
    """One line: what stopped it, causes included, and what to look at."""
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        if (text := " ".join(str(cause).split())) and text not in " ".join(told):
            told.append(text)
        cause = cause.__cause__
    reason = LOGIN.sub("***@", "; ".join(told).rstrip(". "))
    return f"{where} cannot be fetched: {reason} (docs/sharing.md says what each message means)"


def _from_hub(source: str, target: Path, rev: str) -> None:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        commit = HfApi().dataset_info(source, revision=rev or None).sha  # a cache alone would do for an old release
        found = Path(snapshot_download(source, repo_type="dataset", revision=commit))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise InputError(
            f"{source} cannot be fetched from the hub: {' '.join(str(error).split())};"
            " check name, revision, network and HF_TOKEN"
        ) from None
    shutil.copytree(found, target, ignore=shutil.ignore_patterns(".gitattributes"))  # its files are links to the cache
