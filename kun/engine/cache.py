"""A key/value cache with room to grow: a step of decoding writes its own tokens and copies nothing."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

ROOM = 64  # tokens; a full buffer is copied once into one with so many free places more


class GrowingLayer(DynamicLayer):
    """A DynamicLayer whose keys and values, [rows, heads, tokens, size], are the filled part of larger buffers.

    DynamicLayer joins all tokens anew at every step: a quarter of the demo's decoding time.
    """

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Begin with empty buffers."""
        super().lazy_initialization(key_states, value_states)
        self._buffers = [key_states[:, :, :0], value_states[:, :, :0]]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the new states; return all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        stop = start + key_states.shape[2]
        if stop > self._buffers[0].shape[2]:
            self._change(lambda buffer: torch.nn.functional.pad(buffer[:, :, :start], (0, 0, 0, stop + ROOM - start)))
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:stop] = states
        self._show(stop)
        return self.keys, self.values

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row."""
        self._change(lambda buffer: buffer.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep the rows `indices`."""
        self._change(lambda buffer: buffer[indices])

    def _change(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        filled = self.get_seq_length()
        self._buffers = [change(buffer) for buffer in self._buffers]
        self._show(filled)

    def _show(self, filled: int) -> None:
        self.keys, self.values = (buffer[:, :, :filled] for buffer in self._buffers)


def growing_cache() -> Cache:
    """An empty cache for any model; sliding windows are left to the attention masks."""
    return Cache(layer_class_to_replicate=GrowingLayer)


def repeated(cache: Cache, rows: int) -> Cache:
    """A cache of `rows` rows that all begin with the one row of `cache`, which stays as it is."""
    several = copy.copy(cache)
    several.layers = [copy.copy(layer) for layer in cache.layers]
    several.batch_repeat_interleave(rows)
    return several
