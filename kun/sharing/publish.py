"""`kun publish`: data/release as a dataset on the Hugging Face hub, in one commit that comes whole or not at all."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kun.errors import InputError
from kun.params import Params
from kun.project import Project
from kun.release import facts
from kun.sharing.fetch import HUB_NAME
from kun.sharing.fit import licences, refusals, warnings

if TYPE_CHECKING:
    from huggingface_hub import HfApi

UNANSWERED = ("httpx", "httpx2", "httpcore", "httpcore2")
"""Packages under huggingface_hub whose errors tell that nobody answered."""
OURS = r"data/train-\d+-of-\d+\.parquet|(?:messages|alpaca|sharegpt)\.jsonl|dataset_info\.json|SHA256SUMS"
"""Files on the hub that an older release may have left: those that are no longer in it go with the commit."""


@dataclass(frozen=True)
class Plan:
    """What would be sent, and where."""

    name: str
    public: bool
    folder: Path
    files: dict[str, int]
    """Path in the release -> bytes."""
    licences: dict[str, int]
    """Licence -> rows."""
    commit: str | None
    """Of the project, as the card has it."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sent:
    """Where it is now."""

    url: str
    commit: str | None
    """None when the hub had all of it already."""


def plan(project: Project, params: Params, name: str, public: bool, emails_ok: bool = False) -> Plan:
    """What publishing would send; InputError, one line for each reason, when the release must not leave."""
    if not re.fullmatch(HUB_NAME, name):
        raise InputError(f"{name} is no OWNER/NAME of a dataset")
    if reasons := refusals(project, params, emails_ok):
        raise InputError("\n     ".join(["this release cannot be published:", *reasons]))
    folder = project.dataset("release")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    rows = licences(folder)
    return Plan(name, public, folder, files, rows, facts.commit(project), warnings(project, params, rows))


def told(planned: Plan) -> str:
    """The plan for people, without a line end."""
    sight = "public: everybody can see and download it" if planned.public else "private: only its owners can see it"
    lines = [f"dataset  {planned.name} on {endpoint()}", f"sight    {sight}"]
    lines += [f"file     {name}  {size:,} bytes" for name, size in planned.files.items()]
    lines.append(f"in all   {len(planned.files)} files, {sum(planned.files.values()):,} bytes")
    lines += [f"licence  {name}: {rows:,} rows" for name, rows in planned.licences.items()]
    lines.append(f"card     data/release/README.md, made from commit {planned.commit or 'unknown'}")
    lines += [f"WARNING  {text}" for text in planned.warnings]
    return "\n".join(lines)


def endpoint() -> str:
    """The hub that is asked: HF_ENDPOINT, else huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def send(planned: Plan, message: str = "") -> Sent:
    """Make the dataset where it is missing, and commit the release to it. InputError says what the hub refused.

    Nothing can be seen before the commit, which is one step. Run again after an error: what the hub has is not sent again.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api = HfApi(endpoint=endpoint())
    refused = (
        HfHubHTTPError,
        HFValidationError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        ValueError,
        RuntimeError,
    )
    try:
        return _commit(api, planned, message or _message(planned))
    except (*refused, OSError) as error:
        raise InputError(_why(planned, error)) from None
    except Exception as error:
        if type(error).__module__.split(".")[0] not in UNANSWERED:  # what is not answered at all
            raise
        raise InputError(_why(planned, error)) from None


def _commit(api: "HfApi", planned: Plan, message: str) -> Sent:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    there: dict[str, Any] = {"repo_id": planned.name, "repo_type": "dataset"}
    before = _existing(api, planned)
    if before is None:
        api.create_repo(**there, private=not planned.public, exist_ok=True)
        before = api.repo_info(**there)
    stale = [
        file.rfilename
        for file in before.siblings or []
        if re.fullmatch(OURS, file.rfilename) and file.rfilename not in planned.files
    ]
    operations: list[Any] = [CommitOperationDelete(path_in_repo=name) for name in stale]
    operations += [CommitOperationAdd(name, planned.folder / name) for name in planned.files]
    done = api.create_commit(**there, operations=operations, commit_message=message, parent_commit=before.sha)
    return Sent(f"{endpoint()}/datasets/{planned.name}", None if done.oid == before.sha else done.oid)


def _existing(api: "HfApi", planned: Plan) -> Any:
    """The dataset as it is on the hub, None when there is none; InputError when it is not as open as was asked."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        found = api.repo_info(planned.name, repo_type="dataset")
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401 and not _has_token():
            raise InputError("no token for the hub: set HF_TOKEN, or run `hf auth login`") from None
        return None
    if not found.private and not planned.public:
        raise InputError(f"{planned.name} is public on the hub already: say --public, or make it private there")
    if found.private and planned.public:
        raise InputError(f"{planned.name} is private on the hub: make it public there, or leave --public away")
    return found


def _has_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


def _message(planned: Plan) -> str:
    made = f" from commit {planned.commit[:12]}" if planned.commit else ""
    return f"Release of {sum(planned.licences.values()):,} pairs{made}"


def _why(planned: Plan, error: Exception) -> str:
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        if (text := " ".join(str(cause).split())) and text not in told:
            told.append(text)
        cause = cause.__cause__
    hint = {
        401: "the hub does not know the token: HF_TOKEN, or `hf auth login`",
        403: f"the token may not write to {planned.name.split('/')[0]}: it needs the right to write",
        404: "check OWNER/NAME",
        409: "somebody else is changing the dataset",
        412: "the dataset was changed meanwhile",
    }.get(getattr(getattr(error, "response", None), "status_code", None) or 0, "nothing was published")
    return f"the hub at {endpoint()} refused {planned.name}: {'; '.join(told)} ({hint}; run again when it is mended)"
