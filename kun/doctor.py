"""What stands between this machine and a run, each finding with its fix."""

import difflib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kun.backtranslate.judge import BAD, GOOD
from kun.config import load_params
from kun.engine.base import Failure, Sampling
from kun.engine.estimate import ServerTokens, estimated_tokens
from kun.errors import KunError
from kun.models import find
from kun.params import Params, Server
from kun.project import Project
from kun.start.code import CODE, verify

if TYPE_CHECKING:
    from kun.engine.openai import OpenAIModel

NEEDED_GB = 5  # the demo model as GGUF and as float32 safetensors, checkpoints, caches
PATIENCE = 20.0  # seconds that a server may take for one request
LISTED = 5  # models that a finding names
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
        *_teacher(project),
        *_server(project),
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


def _teacher(project: Project) -> list[Finding]:
    """Only where `model.teacher` names one."""
    try:
        named = load_params(project.root / "params.yaml").model
        if not named.teacher:
            return []
        found = find(replace(project, pinned="teacher"), replace(named, base=named.teacher))
        return [Finding("teacher", True, found)]
    except KunError as error:
        return [Finding("teacher", False, str(error))] if str(error).startswith("model.teacher") else []


def _server(project: Project) -> list[Finding]:
    """Only where a stage asks one."""
    try:
        params = load_params(project.root / "params.yaml")
    except KunError:
        return []  # told as params.yaml
    return server_findings(params) if "openai" in (params.engine.backend, params.reflection.backend) else []


def server_findings(params: Params) -> list[Finding]:
    """Key, address, models, log-probabilities and what no server can do, each as far as the one before allows.

    Asks for a few tokens, which a cloud counts.
    """
    if importlib.util.find_spec("openai") is None:
        return [Finding("server", False, "the client is missing; run: pip install 'kun[openai]'")]
    from kun.engine.listing import listed_models

    given = params.engine.server
    server = replace(given, retries=0, timeout=min(given.timeout, PATIENCE), max_cost=0.0)
    found = [_key(server)]
    if not found[0].ok:
        return found
    try:
        listed = listed_models(server)
    except KunError as error:
        return [*found, Finding("server", False, str(error))]
    found += [Finding("server", True, f"{server.url} answers"), _served_models(params, server, listed)]
    if params.engine.backend == "openai":
        found += [_log_probabilities(params, server)] if found[-1].ok else []
        found.append(_given_texts(params))
    return found


def _key(server: Server) -> Finding:
    if not server.key:
        return Finding("server key", True, "engine.server.key is empty: none is sent")
    ok = bool(os.environ.get(server.key))
    fix = f"the environment variable {server.key} is not set; export it, or name another in engine.server.key"
    return Finding("server key", ok, f"{server.key} is set" if ok else fix)


def _served_models(params: Params, server: Server, listed: list[str] | None) -> Finding:
    """A server may know names that it does not list (llama.cpp knows every name), so those are asked."""
    roles = ["label", "chat"] if params.engine.backend == "openai" else [PurePosixPath(params.reflection.model).stem]
    if missing := [role for role in roles if not server.model(role)]:
        fix = f"add {{{missing[0]}: NAME}}, or give one name for all: models: NAME"
        return Finding("server models", False, f"engine.server.models names none for {' and '.join(missing)}; {fix}")
    names = [server.models] if isinstance(server.models, str) else list(dict.fromkeys(server.models.values()))
    for name in names:
        if name not in (listed or []) and (why := _refused(server, name)):
            return Finding("server models", False, f"{name!r} is not served{_nearest(name, listed or [])}: {why}")
    unlisted = [name for name in names if name not in (listed or [])]
    return Finding(
        "server models",
        True,
        ", ".join(f"{name} (not listed, but it answers)" if name in unlisted else name for name in names),
    )


def _nearest(name: str, listed: list[str]) -> str:
    if near := difflib.get_close_matches(name, listed, n=1):
        return f" (did you mean {near[0]!r}?)"
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return f" (it lists {', '.join(listed[:LISTED])}{more})" if listed else ""


def _refused(server: Server, name: str) -> str:
    """Why a model does not write, "" when it does."""
    with TemporaryDirectory() as folder:
        try:
            (answer,) = _asked(server, name, folder).generate(["你好"], Sampling(1))
        except KunError as error:
            return str(error)
    return answer.detail if isinstance(answer, Failure) else ""


def _log_probabilities(params: Params, server: Server) -> Finding:
    mode = params.judge.mode
    with TemporaryDirectory() as folder:
        try:
            refusal = _asked(server, server.model("chat"), folder).refuses_log_probabilities([GOOD, BAD])
        except KunError as error:
            return Finding("log-probabilities", False, str(error))
    if refusal is None:
        return Finding("log-probabilities", True, "given, as judge.mode verdict and `kun evaluate` need them")
    if mode != "verdict":
        told = f"none ({refusal.detail}): judge.mode {mode} does without, `kun evaluate` does not"
        return Finding("log-probabilities", True, told)
    fix = "set judge.mode to sampled or pair_score and judge.calibrate to 0, or take another server"
    return Finding("log-probabilities", False, f"none ({refusal.detail}), which judge.mode verdict needs; {fix}")


def _given_texts(params: Params) -> Finding:
    """perplexity and losses score texts that are there: no chat server does."""
    fixes = ["perplexity.backend to kenlm"] if params.perplexity.backend == "model" else []
    fixes += ["losses.model to none"] if params.losses.model != "none" else []
    fix = f"no server scores given texts; set {' and '.join(fixes)}, or engine.backend to hf for these stages"
    return Finding("given texts", not fixes, fix if fixes else "no stage asks the server to score them")


def _asked(server: Server, name: str, folder: str) -> "OpenAIModel":
    """What it costs is noted in `folder`, and counts for no stage."""
    from kun.engine.openai import OpenAIModel

    return OpenAIModel(server, name, ServerTokens(estimated_tokens), Path(folder) / "spent.txt")


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
    from kun.engine.devices import has_bfloat16

    native = "native bfloat16" if has_bfloat16(torch.device("cpu")) else "float32"
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
