"""Cross-entropy on target positions, without ever holding the logits of more than a few positions.

Gemma's vocabulary has 262,144 entries: 1,000 target tokens would need 1 GB of logits and as much of gradients. Here each
chunk's gradient is computed at once and its logits are dropped (as in Liger's fused linear cross-entropy).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from kun.engine.head import logits_of
from kun.train.examples import IGNORED

CHUNK = 128  # positions: 128 MB of float32 logits for Gemma


class PassThroughHead(nn.Module):
    """Stands in for a model's output layer: holds its weight, hands on hidden states in place of logits."""

    weight: nn.Parameter

    def __init__(self, head: Any) -> None:
        """`head` is the model's linear output layer, tied or not."""
        super().__init__()
        self.weight = head.weight

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the states unchanged."""
        return states


class TargetLoss:
    """`loss_function` of a model that has a PassThroughHead.

    The model calls it inside its forward pass: there autocast holds, DDP sees every weight in use, and FSDP has put the
    shards of the head together.
    """

    def __init__(self, head: PassThroughHead, cap: float | None = None) -> None:
        """`head` holds the output weight, [vocabulary, hidden]; `cap` bounds the logits, as Gemma 2 does."""
        self._head, self.cap = head, cap

    def __call__(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        vocab_size: int | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **unused: Any,
    ) -> torch.Tensor:
        """Summed loss over target tokens (nats) by `num_items_in_batch`, their mean without it.

        `logits` are hidden states, [rows, positions, hidden].
        """
        wanted = labels[:, 1:] != IGNORED
        states = logits[:, :-1][wanted].to(self._head.weight.dtype)
        targets = labels[:, 1:][wanted]
        if torch.is_grad_enabled():
            total = _SummedLoss.apply(states, self._head.weight, targets, self.cap)
        else:
            total = _summed(states, self._head.weight, targets, self.cap)
        return total / (len(targets) if num_items_in_batch is None else num_items_in_batch)


LEARNING = {"final_logit_softcapping": None, "use_cache": False}
"""Of the config while it learns: the forward pass would cap hidden states, and keep keys and values that nobody asks for."""


def learn_targets(model: Any) -> None:
    """Let `model(input_ids, labels)` compute its loss at target positions alone; its logits become hidden states.

    The model is one that passes `check_model`.
    """
    head = PassThroughHead(model.get_output_embeddings())
    model.set_output_embeddings(head)
    model.loss_function = TargetLoss(head, getattr(model.config, "final_logit_softcapping", None))
    model.loaded_config = {name: getattr(model.config, name) for name in LEARNING if hasattr(model.config, name)}
    _set(model.config, {name: LEARNING[name] for name in model.loaded_config})


@contextmanager
def own_config(model: Any) -> Iterator[None]:
    """While saving a model that learns targets: the config that it was loaded with."""
    learning = {name: getattr(model.config, name) for name in model.loaded_config}
    _set(model.config, model.loaded_config)
    try:
        yield
    finally:
        _set(model.config, learning)


def _set(config: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(config, name, value)


def _chunks(
    states: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, cap: float | None
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Of each chunk its place, its logits [vocabulary, positions], their log-sum-exp, and the loss of each position."""
    for start in range(0, len(targets), CHUNK):
        place = slice(start, start + CHUNK)
        logits = logits_of(weight, states[place])
        if cap is not None:
            logits = logits.div_(cap).tanh_().mul_(cap)
        norm = logits.logsumexp(0)
        yield place, logits, norm, norm - logits.gather(0, targets[None, place])[0]


def _summed(states: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, cap: float | None) -> torch.Tensor:
    total = states.new_zeros((), dtype=torch.float32)
    for *_, losses in _chunks(states, weight, targets, cap):
        total += losses.sum()
    return total


class _SummedLoss(torch.autograd.Function):
    """`_summed`, with the gradients of each chunk taken while its logits are there."""

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, cap: float | None
    ) -> torch.Tensor:
        state_gradient = torch.empty_like(states)
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32) if weight.requires_grad else None
        total = states.new_zeros((), dtype=torch.float32)
        for place, logits, norm, losses in _chunks(states, weight, targets, cap):
            total += losses.sum()
            # Of cap * tanh(x / cap): 1 - tanh squared.
            bend = None if cap is None else 1 - (logits / cap).square_()
            slope = logits.sub_(norm).exp_()  # softmax, in the memory of the logits
            slope[targets[place], torch.arange(len(norm), device=slope.device)] -= 1
            if bend is not None:
                slope *= bend
            slope = slope.to(weight.dtype)
            state_gradient[place] = slope.T @ weight
            if weight_gradient is not None:
                _add_product(weight_gradient, slope, states[place])
        ctx.save_for_backward(state_gradient, None if weight_gradient is None else weight_gradient.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None, None]:
        states, weight = ctx.saved_tensors
        return states * gradient, None if weight is None else weight * gradient, None, None


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Add left @ right to a float32 `total`, without a second tensor of its size where the types allow it."""
    if left.dtype == total.dtype and not torch.is_autocast_enabled(total.device.type):
        total.addmm_(left, right)
    else:
        total += left @ right
