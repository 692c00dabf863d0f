"""Embeddings by a sentence encoder in place of the base model's hidden states, through sentence-transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kun.engine.base import Gauge
from kun.engine.devices import fits_or_says_so, pick_device, pick_dtype
from kun.errors import ConfigError, ModelError


class Encoder:
    """A model in the format of sentence-transformers, or any encoder of transformers, whose states are then averaged."""

    def __init__(self, folder: Path, dtype: str = "auto") -> None:
        """Load weights to the process's device; ModelError when they do not load, ConfigError without the library."""
        try:
            from sentence_transformers import SentenceTransformer
        except ModuleNotFoundError:
            raise ConfigError("engine.embedder needs sentence-transformers; run: pip install 'kun[encoder]'") from None
        self._device = pick_device()
        self._dtype = pick_dtype(dtype, self._device)
        try:
            self._model: Any = SentenceTransformer(
                str(folder), device=str(self._device), local_files_only=True, model_kwargs={"dtype": self._dtype}
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"engine.embedder: cannot load {folder}: {str(error).splitlines()[0]}") from error

    @fits_or_says_so
    def embeddings(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text, `[len(texts)][dimensions]`; texts beyond the encoder's length are cut, as it does itself.

        OutOfMemory when they do not fit into memory together.
        """
        vectors = self._model.encode(list(texts), batch_size=len(texts), show_progress_bar=False)
        return [[float(number) for number in vector] for vector in vectors]

    def gauge(self) -> Gauge:
        """Device and type."""
        return Gauge(device=self._device.type, dtype=str(self._dtype).removeprefix("torch."))
