"""Whether a release may leave: complete, gated, true to dvc.lock, licensed, and without anything secret."""

import re
from pathlib import Path
from typing import Any

import polars as pl

from kun.dynosaur.licences import spdx
from kun.errors import InputError
from kun.params import Params
from kun.project import Project
from kun.release import facts
from kun.release.card import FREE_OUTPUT, HUB_LICENCES
from kun.release.checksums import SUMS, check_sums
from kun.sharing.secrets import SHOWN, scan

UNKNOWN = {"", "unknown", "none", "null"}
NAMED = 5


def refusals(project: Project, params: Params, emails_ok: bool) -> list[str]:
    """Why data/release must stay here, one line each; none when it may go. InputError when there is no release."""
    folder = project.dataset("release")
    if not (folder / "README.md").is_file():
        raise InputError(f"{folder} holds no release; run `dvc repro release` first, or `dvc pull {folder}`")
    found = [_unsound(folder), *_gates(project, params), *_out_of_date(project), _unlicensed(folder)]
    found += [f"data/release/{finding}" for finding in _secrets(folder, emails_ok)]
    return [reason for reason in found if reason]


def warnings(project: Project, params: Params, licences: dict[str, int]) -> list[str]:
    """What a publisher should know, one line each."""
    found = []
    for licence in licences:
        if "-nc" in spdx(licence):
            found.append(f"{licence}: no commercial use of these rows")
        if "-sa" in spdx(licence):
            found.append(f"{licence}: what is made of these rows must be under the same licence")
        if spdx(licence) not in HUB_LICENCES:
            found.append(f"{licence}: not a licence that the hub knows by name; the card says `other`")
    if served := facts.served(params.engine):
        names = ", ".join(dict.fromkeys(served.values()))
        found.append(f"nobody stated the licence of {names}, which a server ran: read its terms")
    base = facts.base_model(project)
    terms = "" if base is None else (base["licence"].lower() or "unknown")
    if base is None or terms == "unknown":
        found.append("nobody stated the licence of the base model: model.licence in params.yaml")
    elif terms not in FREE_OUTPUT:
        found.append(f"the terms of the base model ({terms}) travel with what it wrote")
    commit = facts.commit(project)
    if commit is None:
        found.append("the project is in no git repository: nobody can reproduce the release")
    elif " " in commit:
        found.append("parameters, pipeline or code have uncommitted changes: nobody can reproduce the release")
    return found


def licences(folder: Path) -> dict[str, int]:
    """Licence of the raw texts -> rows of the release."""
    rows = pl.scan_parquet(folder / "data" / "*.parquet").group_by(pl.col("licence").fill_null("")).len().collect()
    return dict(sorted(rows.iter_rows()))


def _unsound(folder: Path) -> str:
    try:
        checked = check_sums(folder)
    except InputError as error:
        return f"{error}; run `dvc checkout {folder}` or `dvc repro -f release`"
    return "" if checked else f"{folder} has no {SUMS}: run `dvc repro -f release`"


def _gates(project: Project, params: Params) -> list[str]:
    gates = facts.gates(project, params.mix.sources.values())
    failed = [gate["dataset"] for gate in gates if not gate["passed"]]
    if failed:
        return [f"the gate of {', '.join(failed)} failed: reports/checks"]
    if "selected" not in {gate["dataset"] for gate in gates}:
        return ["no gate of data/selected has run: dvc repro check@selected"]
    return []


def _out_of_date(project: Project) -> list[str]:
    """Stages behind the release that would run: then it is not what parameters and code say."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(project.root)) as repo:
            made = {str(out) for out in repo.index.outs}
            status: dict[str, Any] = repo.status(targets=["release"], with_deps=True)
    except DvcException as error:
        return [f"DVC cannot say whether the release is up to date: {' '.join(str(error).split())}"]
    stale = [stage for stage, changes in status.items() if _changed(changes, made)]
    if not stale:
        return []
    more = f" and {len(stale) - NAMED} more" if len(stale) > NAMED else ""
    return [f"dvc.lock is not true any more for {', '.join(stale[:NAMED])}{more}: dvc repro"]


def _changed(changes: list[Any], made: set[str]) -> bool:
    """Whether anything but outputs that were not pulled differs from dvc.lock."""
    for change in changes:
        if not isinstance(change, dict):
            return True  # "changed command", "always changed"
        for files in change.values():
            if any(state != "deleted" or name not in made for name, state in files.items()):
                return True
    return False


def _unlicensed(folder: Path) -> str:
    unknown = {name: rows for name, rows in licences(folder).items() if name.lower() in UNKNOWN}
    if not unknown:
        return ""
    scanned = pl.scan_parquet(folder / "data" / "*.parquet").filter(
        pl.col("licence").fill_null("").is_in(list(unknown))
    )
    sources = scanned.select(pl.col("source").unique().sort()).collect()["source"].to_list()
    return (
        f"{sum(unknown.values()):,} rows have no known licence (sources: {', '.join(sources[:NAMED])});"
        " name it in ingest.licences of params.yaml, then dvc repro"
    )


def _secrets(folder: Path, emails_ok: bool) -> list[str]:
    found = [str(finding) for finding in scan(folder, emails=not emails_ok)]
    hint = "; --emails-ok if they are meant to be there, else clean.private: {邮箱: mask}" if not emails_ok else ""
    told = [re.sub(r"(an e-mail address)$", rf"\1{hint}", line) for line in found[:1]] + found[1:]
    return told + ([f"... the first {SHOWN} places"] if len(found) == SHOWN else [])
