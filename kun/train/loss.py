"""Cross-entropy on target positions, without ever holding the logits of more than a few positions.

Gemma's vocabulary has 262,144 entries: 1,000 target tokens would need 1 GB of logits and as much of gradients. Here each
chunk's gradient is computed at once and its logits are dropped (as in Liger's fused linear cross-entropy).
"""

from typing import Any

import torch
from torch import nn

from kun.engine.head import logits_of
from kun.train.examples import IGNORED

CHUNK = 128  # positions: 128 MB of float32 logits for Gemma


class PassThroughHead(nn.Module):
    """Stands in for a model's output layer: holds its weight, hands on hidden states in place of logits."""

    def __init__(self, head: nn.Module) -> None:
        """`head` is the model's linear output layer, tied or not."""
        super().__init__()
        self.weight = head.weight

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the states unchanged."""
        return states


class TargetLoss:
    """`compute_loss_func` of a Trainer whose model has a PassThroughHead."""

    def __init__(self, head: PassThroughHead) -> None:
        """`head` holds the output weight, [vocabulary, hidden]."""
        self._head = head

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        """Mean loss over target tokens (nats); `outputs.logits` are hidden states, [rows, positions, hidden]."""
        wanted = labels[:, 1:] != IGNORED
        # accelerate hands out float32 states from a forward pass in bfloat16
        states = outputs.logits[:, :-1][wanted].to(self._head.weight.dtype)
        targets = labels[:, 1:][wanted]
        total = _SummedLoss.apply(states, self._head.weight, targets)
        return total / (len(targets) if num_items_in_batch is None else num_items_in_batch)


class _SummedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        state_gradient = torch.empty_like(states)
        weight_gradient = torch.zeros_like(weight) if weight.requires_grad else None
        total = states.new_zeros((), dtype=torch.float32)
        for start in range(0, len(targets), CHUNK):
            part, wanted = states[start : start + CHUNK], targets[None, start : start + CHUNK]
            logits = logits_of(weight, part)
            norm = logits.logsumexp(0)
            total += (norm - logits.gather(0, wanted)[0]).sum()
            slope = logits.sub_(norm).exp_()  # softmax, in the memory of the logits
            slope.scatter_add_(0, wanted, -torch.ones_like(wanted, dtype=slope.dtype))
            slope = slope.to(weight.dtype)
            state_gradient[start : start + CHUNK] = slope.T @ weight
            if weight_gradient is not None:
                weight_gradient += slope @ part
        ctx.save_for_backward(state_gradient, weight_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        states, weight = ctx.saved_tensors
        return states * gradient, None if weight is None else weight * gradient, None
