"""SHA256SUMS: what the files of a release must be, in the form that `sha256sum --check` reads."""

import hashlib
import re
from pathlib import Path

from kun.errors import InputError
from kun.tables.shards import write_text

SUMS = "SHA256SUMS"


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of all files that are below `folder`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    write_text(folder / SUMS, "".join(f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files))


def check_sums(folder: Path) -> int | None:
    """The number of files that SHA256SUMS names, each of which is what it says; None where there is no such file.

    InputError names the first that is missing or another.
    """
    if not (folder / SUMS).is_file():
        return None
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    for line in lines:
        found = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if found is None or Path(found[2]).is_absolute() or ".." in Path(found[2]).parts:
            raise InputError(f"{folder / SUMS} cannot be read: {line[:80]!r}")
        path = folder / found[2]
        if not path.is_file():
            raise InputError(f"{SUMS} names {found[2]}, which is missing in {folder}")
        if _sha256(path) != found[1]:
            raise InputError(f"{found[2]} in {folder} is not what {SUMS} says: it was changed or damaged")
    return len(lines)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
