"""Resolve `model.base`, `model.teacher`, or another scorer of `losses.model`, to a pinned folder in transformers format.

A GGUF file, or a package that ships one, is converted once, under `.kun/models/`; a folder is used where it lies; a hub
id is fetched at a pinned commit (`HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE` are honoured). models/base.json records what
was used.
"""

import fcntl
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from kun.engine.tokens import TokenizerFile
from kun.errors import KunError, ModelError
from kun.params import Model
from kun.project import Project
from kun.tables.shards import disk_errors, place_beside, write_json

PLAIN_TEMPLATE = Path(__file__).parent / "templates" / "plain.jinja"
TURN_ENDS = ("<end_of_turn>", "<|im_end|>")
"""What ends a turn in templates whose models also have a token for the end of a document (Gemma, ChatML)."""

CONVERSION = 1  # part of every fingerprint: raise it when the conversion changes its result
KEYS = {"base": "model.base", "teacher": "model.teacher", "scorer": "losses.model"}
"""Pin -> the parameter that names its model."""
VERBS = {"base": "kun base", "teacher": "kun teacher", "scorer": "kun losses"}
"""Pin -> what writes it."""
PINNED = ("*.safetensors", "tokenizer.json", "config.json", "generation_config.json")
"""generation_config.json names further tokens that end a reply; not every model has one."""


Kind = Literal["package", "file", "folder", "hub"]


@dataclass(frozen=True)
class Base:
    """models/base.json."""

    name: str
    kind: Kind
    revision: str
    """Commit of a hub id, version of a package, "" for a file or folder."""
    sha256: dict[str, str]
    """File name -> hash, of the files that decide what the model computes."""
    licence: str
    parameters: int
    chat_template: str
    """The template text: the tokenizer's own, or ours when it has none."""
    bos_token: str
    end_token: str
    """The token that ends a turn in this template."""
    eos_token: str = ""
    """The token that ends a document; some templates write it behind a turn."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits over all that decides a result."""
        facts = [sorted(self.sha256.items()), self.chat_template, self.end_token, CONVERSION]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def pin_base(project: Project, params: Model) -> Base:
    """Resolve, convert or fetch the model and write the project's pin of it; ModelError in one line when it cannot be."""
    key = KEYS[project.pinned]
    kind = _kind(params.base, key)
    if kind in ("package", "file"):
        with _alone(project):
            gguf, version = _gguf(kind, params.base, project, key)
            hashes = {gguf.name: _sha256(gguf)}
            folder = _converted(project, gguf, hashes[gguf.name])
        licence = (kind == "file" and params.licence) or json.loads((folder / "origin.json").read_text())["licence"]
    elif kind == "folder":
        folder, version, licence = Path(params.base), "", params.licence or _card_licence(Path(params.base))
        hashes = _hash_files(folder)
    else:
        folder, version = snapshot(params.base, params.revision, key)
        licence = _card_licence(folder)
        hashes = _hash_files(folder)
    if "text_config" in json.loads((folder / "config.json").read_text(encoding="utf-8")):
        raise ModelError(f"{key}: {params.base} reads pictures too, which kun does not know; take a text-only model")
    base = Base(params.base, kind, version, hashes, licence, _count_parameters(folder), *_chat_tokens(folder))
    _write(project, base)
    return base


def pin_teacher(project: Project, params: Model) -> Base:
    """`pin_base` for `model.teacher`; without one the pin of the base model is written again, as models/teacher.json."""
    teacher = replace(project, pinned="teacher")
    if params.teacher:
        return pin_base(teacher, Model(params.teacher, params.teacher_revision, ""))
    base = read_base(project)
    _write(teacher, base)
    return base


def _write(project: Project, base: Base) -> None:
    write_json(project.base, asdict(base) | {"fingerprint": base.fingerprint})


def read_base(project: Project) -> Base:
    """The pin that `kun base` wrote, or for `project.pinned` another of VERBS."""
    if not project.base.is_file():
        raise ModelError(f"{project.base} not found; run `{VERBS[project.pinned]}` first")
    try:
        values = json.loads(project.base.read_text(encoding="utf-8"))
        del values["fingerprint"]
        return Base(**values)
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{project.base} is spoilt; run `{VERBS[project.pinned]}` again") from None


def locate(project: Project, base: Base) -> Path:
    """Folder of the pinned model on this machine, converted or fetched anew when it is missing here."""
    key = KEYS[project.pinned]
    if base.kind == "folder":
        if not Path(base.name).is_dir():
            raise ModelError(
                f"{key}: {base.name} is gone; put it back or change {key} and run `{VERBS[project.pinned]}`"
            )
        return Path(base.name)
    if base.kind == "hub":
        return snapshot(base.name, base.revision, key)[0]
    ((_, sha256),) = base.sha256.items()
    with _alone(project):
        folder = _conversion_folder(project, sha256)
        if folder.is_dir():
            return folder
        gguf, _ = _gguf(base.kind, base.name, project, key)
        if (found := _sha256(gguf)) != sha256:
            raise ModelError(
                f"{key}: {base.name} is another file than the pinned one ({found[:16]}, not {sha256[:16]}); "
                f"put that one back or run `{VERBS[project.pinned]}` again"
            )
        return _converted(project, gguf, sha256)


def load_tokens(project: Project) -> TokenizerFile:
    """Tokenizer and template of the pinned base model, no weights."""
    base = read_base(project)
    return TokenizerFile(locate(project, base), base.chat_template, base.bos_token, base.eos_token)


def count_tokens(root: Path, fingerprint: str, texts: list[str]) -> list[int]:
    """Tokens of each text by the base model of the project in `root`, without template; for processes that share the work."""
    return _tokens_of(root, fingerprint).count(texts)


@lru_cache(1)
def _tokens_of(root: Path, fingerprint: str) -> TokenizerFile:
    return load_tokens(Project(root))


def find(project: Project, params: Model) -> str:
    """Say what `model.base` is and whether it is ready, without converting or fetching; ModelError when it is nothing."""
    kind = _kind(params.base, KEYS[project.pinned])
    if project.base.is_file() and read_base(project).name == params.base:
        return f"{params.base} ({kind}), pinned as {read_base(project).fingerprint}"
    return f"{params.base} ({kind}), not pinned yet; `{VERBS[project.pinned]}` does it"


def _kind(name: str, key: str) -> Kind:
    if Path(name).is_dir():
        return "folder"
    if name.lower().endswith(".gguf"):
        if not Path(name).is_file():
            raise ModelError(f"{key}: {name} not found; put the file there, or name another model")
        return "file"
    try:
        importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        if name.count("/") == 1 and not name.startswith((".", "/")):
            return "hub"
        raise ModelError(
            f"{key}: {name!r} is no folder, no .gguf file, no installed package and no hub id (owner/name); "
            f"for the demo model run `pip install 'kun[demo]'`"
        ) from None
    return "package"


def _gguf(kind: Kind, name: str, project: Project, key: str) -> tuple[Path, str]:
    """The GGUF file of a package or a path, and its version."""
    if kind == "package":
        return _package_file(name, project.scratch / "models", key)
    if not Path(name).is_file():
        raise ModelError(f"{key}: {name} not found; put the file there, or name another model")
    return Path(name), ""


def _package_file(name: str, folder: Path, key: str) -> tuple[Path, str]:
    """The GGUF file that an installed package ships, whole or in parts that its `assemble(path)` joins in `folder`."""
    distribution = importlib.metadata.distribution(name)
    for file in distribution.files or []:
        if file.suffix == ".gguf":
            return Path(str(file.locate())), distribution.version
    module = importlib.import_module(name.replace("-", "_"))
    if not hasattr(module, "assemble"):
        raise ModelError(f"{key}: the package {name} ships no .gguf file")
    whole = folder / f"{name}-{distribution.version}.gguf"
    if not whole.is_file():
        building = place_beside(whole)
        try:
            with disk_errors(whole):
                module.assemble(building)
            os.replace(building, whole)  # noqa: PTH105
        finally:
            building.unlink(missing_ok=True)
    return whole, distribution.version


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    """One process at a time: the ranks of a launch all look for the model at once, and one of them makes it."""
    folder = project.scratch / "models"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _conversion_folder(project: Project, sha256: str) -> Path:
    return project.scratch / "models" / f"{sha256[:16]}-v{CONVERSION}"


def _converted(project: Project, gguf: Path, sha256: str) -> Path:
    """Turn GGUF into safetensors + tokenizer.json, whole or not at all."""
    folder = _conversion_folder(project, sha256)
    if folder.is_dir():
        return folder
    if importlib.util.find_spec("gguf") is None:
        raise ModelError("reading GGUF needs the package gguf; run `pip install 'kun[demo]'`")
    building = place_beside(folder)
    building.mkdir(parents=True, exist_ok=True)
    try:
        # Each takes half a minute in pure Python, so they run side by side.
        os.environ.setdefault("TQDM_DISABLE", "1")  # the two bars would write over each other
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            tasks: list[Callable[[Path, Path], None]] = [_convert_weights, _convert_tokenizer]
            with disk_errors(folder):
                for future in [pool.submit(task, gguf, building) for task in tasks]:
                    _told(future, gguf)
        os.replace(building, folder)  # noqa: PTH105
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _told(task: Future[None], gguf: Path) -> None:
    """Wait for a part of the conversion; what transformers and gguf raise for a file they cannot read is one line."""
    try:
        task.result()
    except (KunError, OSError):
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ModelError(
            f"{gguf} cannot be converted ({reason}); take another file, or a folder in transformers format"
        ) from error


def _convert_weights(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    _parse_once()
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    config = AutoConfig.from_pretrained(**source)
    loaded, found = AutoModelForCausalLM.from_pretrained(
        **source, config=config, dtype=torch.float32, output_loading_info=True
    )
    if missing := sorted(found["missing_keys"]):  # one file of several, or a torn one: they would stay random
        raise ModelError(
            f"{gguf} lacks {len(missing)} of the model's weights ({missing[0]}, ...); join the files of a split model "
            "with llama-gguf-split --merge"
        )
    # A model from GGUF keeps a quantizer that cannot be saved; the same weights in a fresh model can.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fresh.load_state_dict(loaded.state_dict(), assign=True)
    fresh.tie_weights()
    fresh.save_pretrained(folder)


def _convert_tokenizer(gguf: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    reader = _parse_once()
    AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(folder)
    fields = reader(str(gguf)).fields
    licence = fields["general.license"].contents() if "general.license" in fields else ""
    if not licence and str(fields["general.architecture"].contents()).startswith("gemma"):
        licence = "gemma"
    write_json(folder / "origin.json", {"gguf": gguf.name, "licence": licence or "unknown"})


def _parse_once() -> Callable[[str], Any]:
    """transformers parses a file anew for config, tokenizer and weights, 10 s each: let this process keep the first."""
    import gguf

    gguf.GGUFReader = functools.cache(gguf.GGUFReader)
    return gguf.GGUFReader


def snapshot(name: str, revision: str, key: str) -> tuple[Path, str]:
    """Folder and commit of a hub id, fetched when missing; ModelError in one line. `key` is the parameter that names it."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = ["*.safetensors", "*.json", "*.jinja", "*.model", "README.md"]
    try:
        folder = Path(huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{key}: cannot fetch {name} at {revision} ({reason}); check the name, HF_TOKEN and HF_ENDPOINT, "
            "or download it yourself and give the folder"
        ) from None
    return folder, folder.name


def _card_licence(folder: Path) -> str:
    card = folder / "README.md"
    if card.is_file():
        for line in card.read_text(encoding="utf-8", errors="replace").splitlines()[:40]:
            if line.startswith("license:"):
                return line.removeprefix("license:").strip()
    return "unknown"


def _hash_files(folder: Path) -> dict[str, str]:
    files = sorted({file for pattern in PINNED for file in folder.glob(pattern)})
    if not any(file.suffix == ".safetensors" for file in files):
        raise ModelError(f"{folder} holds no .safetensors weights; save the model with `save_pretrained` first")
    return {file.name: _sha256(file) for file in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _count_parameters(folder: Path) -> int:
    from safetensors import SafetensorError, safe_open

    total = 0
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, framework="numpy") as weights:
                total += sum(math.prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
        except SafetensorError as error:
            raise ModelError(f"{path} cannot be read ({error}); fetch or save the model again") from None
    return total


def _chat_tokens(folder: Path) -> tuple[str, str, str, str]:
    """Chat template, and the tokens that begin a document, end a turn and end a document.

    A base model without template gets the plain one, in words, even when its vocabulary has turn tokens: nobody taught
    it those. Gemma 3 270M gives <end_of_turn> a loss of 31 nats behind an answer, <eos> 3.7; unlearning that took the
    demo's training most of its steps.
    """
    config: dict[str, Any] = {}
    if (path := folder / "tokenizer_config.json").is_file():
        config = json.loads(path.read_text(encoding="utf-8"))
    file = folder / "chat_template.jinja"
    own = file.read_text(encoding="utf-8") if file.is_file() else _default(config.get("chat_template"))
    tokens = TokenizerFile(folder, "", "")
    bos, eos = _content(config.get("bos_token")), _content(config.get("eos_token"))
    template = own or PLAIN_TEMPLATE.read_text(encoding="utf-8")
    end = next((token for token in TURN_ENDS if token in template and tokens.id_of(token) is not None), eos)
    if not end:
        raise ModelError(f"{folder}: the tokenizer names no eos_token, so no reply could ever end")
    return template, bos, end, eos


def _default(template: Any) -> str | None:
    """tokenizer_config.json holds one template, or a list of named ones."""
    if isinstance(template, list):
        return next((named["template"] for named in template if named["name"] == "default"), None)
    return template


def _content(token: Any) -> str:
    """A token in tokenizer_config.json is a string or {"content": ...}."""
    return token["content"] if isinstance(token, dict) else token or ""
