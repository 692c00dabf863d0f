"""The sentence encoder of `engine.embedder`: where it lies, and what tells its results from another's."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from kun.engine.base import Embedder
from kun.errors import ConfigError, ModelError
from kun.models import snapshot
from kun.params import Engine

KEY = "engine.embedder"
DECISIVE = ("**/*.safetensors", "**/*.json")
"""Weights, tokenizer, and how states are pooled and projected."""


def load_encoder(engine: Engine) -> Embedder:
    """The encoder; it computes here, whatever the backend."""
    from kun.engine.encoder import Encoder

    return Encoder(locate_encoder(engine.embedder), engine.dtype)


def encoder_identity(engine: Engine) -> dict[str, Any]:
    """All of the encoder that decides an embedding."""
    return {"dtype": engine.dtype, "model": encoder_fingerprint(locate_encoder(engine.embedder))}


def locate_encoder(name: str) -> Path:
    """Folder of `engine.embedder`: itself, or that of a hub id (owner/name, or owner/name@revision), fetched when missing."""
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1:
        raise ConfigError(f"{KEY}: {name} is neither a folder nor a hub id (owner/name, owner/name@revision)")
    owner_name, _, revision = name.partition("@")
    return snapshot(owner_name, revision or "main", KEY)[0]


@lru_cache(1)
def encoder_fingerprint(folder: Path) -> str:
    """16 hex digits over all files that decide an embedding; ModelError where there are no weights."""
    files = sorted({file for pattern in DECISIVE for file in folder.glob(pattern)})
    if not any(file.suffix == ".safetensors" for file in files):
        raise ModelError(f"{KEY}: {folder} holds no .safetensors weights")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(folder)} ".encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
