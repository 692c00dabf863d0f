"""The loss on held-out examples: a mean over target tokens, whatever the batches and however many processes."""

from typing import Any

import torch

from kun.train.batches import Rows, collate
from kun.train.examples import IGNORED


def share_of(rows: Rows, at_once: int, rank: int, world: int) -> list[Rows]:
    """The batches of one process; rows of like length stand together.

    All processes get equally many, for sharded models (FSDP) work in step: a missing one is a batch without targets.
    """
    ordered = sorted(rows, key=lambda row: -len(row["input_ids"]))
    batches = [ordered[start : start + at_once] for start in range(0, len(ordered), at_once)]
    blank = [{"input_ids": ordered[-1]["input_ids"], "labels": [IGNORED] * len(ordered[-1]["labels"])}]
    batches += [blank] * (-len(batches) % world)
    return batches[rank::world]


@torch.no_grad()
def heldout_loss(model: Any, batches: list[Rows], accelerator: Any) -> float:
    """Loss by target token (nats) of the batches of all processes under a model that learns targets."""
    device = accelerator.device
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for batch in batches:
        tensors = {key: tensor.to(device) for key, tensor in collate(batch).items()}
        sums[0] += model(**tensors, num_items_in_batch=1).loss
        sums[1] += (tensors["labels"][:, 1:] != IGNORED).sum()
    total, count = accelerator.reduce(sums, "sum").tolist()
    return float(total / count)
