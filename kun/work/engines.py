"""The engine of `engine.backend` for a project: its model, its tokenizer, and what tells its results from another's."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kun.engine.base import Model, Tokens
from kun.engine.estimate import ServerTokens, estimated_tokens
from kun.errors import ConfigError, ModelError
from kun.models import load_tokens, locate, read_base
from kun.params import Engine
from kun.project import Project
from kun.work.scratch import content_key

UNLIMITED = 2**62  # tokens
ROUNDS = 8  # batches of a server: so many times its concurrency, for at the end of each the places empty one by one


class Counted:
    """A tokenizer that remembers how many tokens a text has: stages ask for the same prompts twice; implements `Tokens`."""

    def __init__(self, tokens: Tokens) -> None:
        """`tokens` counts what was not asked before."""
        self._tokens = tokens
        self._sizes: dict[str, int] = {}

    def chat(self, message: str) -> str:
        """Render one user turn."""
        return self._tokens.chat(message)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        new = list(dict.fromkeys(text for text in texts if text not in self._sizes))
        self._sizes.update(zip(new, self._tokens.count(new), strict=True))
        return [self._sizes[text] for text in texts]

    def begin(self) -> str:
        """The token that begins a document."""
        return self._tokens.begin()

    def header(self) -> str:
        """What the template puts before a reply that nobody asked for."""
        return self._tokens.header()


def stage_tokens(project: Project, engine: Engine) -> Tokens:
    """What a stage renders and counts its prompts with, before any model is loaded.

    A server renders them itself, and its tokenizer is its own: counts are those of the base model where there is one, else
    estimated.
    """
    if engine.backend != "openai":
        return load_tokens(project)
    return ServerTokens(load_tokens(project).count if project.base.is_file() else estimated_tokens)


def load_engine(
    project: Project, engine: Engine, adapter: str | None, tokens: Tokens | None = None, stage: str = ""
) -> Model:
    """The model behind `engine.backend`; imports torch only when the backend needs it. A server's costs count for `stage`."""
    if engine.backend == "openai":
        return _served(project, engine, adapter, tokens or stage_tokens(project, engine), stage)
    if engine.backend == "fake":
        from kun.engine.fake import FakeModel

        return FakeModel(tokens or load_tokens(project))
    from kun.engine.hf import HFModel

    base = read_base(project)
    folder = project.adapter(adapter) if adapter else None
    if folder is not None and not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} holds no trained weights; run `kun train {adapter}` first")
    return HFModel(locate(project, base), load_tokens(project), base.end_token, folder, engine.dtype)


def _served(project: Project, engine: Engine, adapter: str | None, tokens: Tokens, stage: str) -> Model:
    try:
        from kun.engine.openai import OpenAIModel
    except ModuleNotFoundError:
        raise ConfigError("engine.backend: openai needs the client; run: pip install 'kun[openai]'") from None
    name = served_model(engine, role(project, adapter))
    spent: Path = project.scratch / "work" / stage / f"spent-{content_key(name)[:16]}.txt"
    return OpenAIModel(engine.server, name, tokens, spent)


def role(project: Project, adapter: str | None) -> str:
    """`teacher`, the adapter or `base`: whatever else is pinned is no model of a server."""
    return adapter or ("teacher" if project.pinned == "teacher" else "base")


def served_model(engine: Engine, role: str) -> str:
    """What the server calls the model of a role (`base`, `teacher`, an adapter); ConfigError when nobody said."""
    if name := engine.server.model(role):
        return name
    raise ConfigError(
        f"engine.server.models names no model for `{role}`; add {{{role}: NAME}}, or give one name for all: models: NAME"
    )


def identity(project: Project, engine: Engine, adapter: str | None) -> dict[str, Any]:
    """All of the model that decides a result. A server may move; its weights are behind the name that it gives them."""
    if engine.backend == "openai":
        return {
            "backend": "openai",
            "model": served_model(engine, role(project, adapter)),
            "extra": engine.server.extra,
        }
    return {
        "backend": engine.backend,
        "dtype": engine.dtype,
        "model": read_base(project).fingerprint,
        "adapter": adapter_hash(project, adapter),
    }


def adapter_hash(project: Project, adapter: str | None) -> str:
    """Hash of the trained weights, "" for the base model."""
    if adapter is None:
        return ""
    digest = hashlib.sha256()
    for path in sorted(project.adapter(adapter).glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def model_name(project: Project, engine: Engine, adapter: str | None) -> str:
    """What computed a result, for readers of a table: name and fingerprint, and of an adapter its own."""
    if engine.backend != "hf":
        return engine.backend if engine.backend == "fake" else served_model(engine, role(project, adapter))
    base = read_base(project)
    name = f"{Path(base.name).name if base.kind in ('folder', 'file') else base.name}@{base.fingerprint}"
    return f"{name}+{adapter}@{adapter_hash(project, adapter)}" if adapter else name


def with_batches(engine: Engine) -> Engine:
    """A server fills its own batches; what kun hands it at a time only has to keep all places taken."""
    if engine.backend != "openai":
        return engine
    return replace(engine, max_rows=ROUNDS * engine.server.concurrency, batch_tokens=UNLIMITED)
