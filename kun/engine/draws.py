"""How the next token is chosen: greedily, or by a draw that does not depend on who computes the row."""

import hashlib
from collections.abc import Sequence

import torch

from kun.engine.base import Sampling
from kun.engine.grammar import Rows
from kun.engine.head import likeliest

NUCLEUS = 1024
"""Likeliest tokens that are looked at first: sorting 262,144 for each row takes longer than the model."""


class Draws:
    """Chooses the next token of each row, from a random stream that belongs to the row's prompt and seed alone."""

    def __init__(
        self, prompts: Sequence[str], sampling: Sampling, grammar: Rows | None, seeds: Sequence[int] = ()
    ) -> None:
        self._sampling, self._grammar = sampling, grammar
        self._streams = [
            torch.Generator().manual_seed(_row_seed(prompt, seed))
            for prompt, seed in zip(prompts, seeds or [sampling.seed] * len(prompts), strict=True)
        ]

    def next(self, logits: torch.Tensor, active: list[int], written: list[list[int]]) -> torch.Tensor:
        """One token id per active row; `logits` is [rows, vocabulary] and is changed in place."""
        if self._sampling.repetition_penalty != 1.0:
            for row, index in enumerate(active):
                if seen := written[index]:
                    ids = torch.tensor(sorted(set(seen)), device=logits.device)
                    values = logits[row, ids]
                    penalty = self._sampling.repetition_penalty
                    logits[row, ids] = torch.where(values > 0, values / penalty, values * penalty)
        if self._grammar is not None:  # behind the penalty, which cannot bring back what a schema forbids
            self._grammar.mask(logits, active, written)
        if self._sampling.temperature == 0:
            return likeliest(logits.T)
        points = torch.tensor([[torch.rand((), generator=self._streams[index]).item()] for index in active])
        return _drawn((logits / self._sampling.temperature).softmax(1), points, self._sampling.top_p)


def _drawn(chances: torch.Tensor, points: torch.Tensor, top_p: float) -> torch.Tensor:
    """The token at each row's point (0 to 1) of its nucleus: the likeliest tokens that have `top_p` together.

    Row by row: in bfloat16 many chances are equal, and `topk` and `sort` order those differently.
    """
    ordered, order = chances.topk(min(NUCLEUS, chances.shape[1]))
    chosen = _within(ordered, order, points, top_p)
    wide = ordered.sum(1) < top_p
    if bool(wide.any()):
        chosen[wide] = _within(*chances[wide].sort(1, descending=True), points[wide.to(points.device)], top_p)
    return chosen


def _within(ordered: torch.Tensor, order: torch.Tensor, points: torch.Tensor, top_p: float) -> torch.Tensor:
    """The tokens `order` at the points, of chances that fall from left to right; `ordered` is changed in place."""
    total = ordered.cumsum(1)
    # The token that crosses top_p still belongs to the nucleus, and the likeliest always does.
    ordered[:, 1:] = ordered[:, 1:].where((total - ordered)[:, 1:] < top_p, 0)
    total = ordered.cumsum(1)
    place = torch.searchsorted(total, points.to(total) * total[:, -1:], right=True)
    return order.gather(1, place.clamp(max=order.shape[1] - 1))[:, 0]


def _row_seed(prompt: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}\n{prompt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1
