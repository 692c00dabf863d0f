"""Which examples are learned in one step, and as which tensors."""

import random

import torch

from kun.train.examples import IGNORED, Encoded

LENGTH_STEP = 48  # tokens; examples of one step count as equally long when batches are filled

Rows = list[dict[str, list[int]]]
"""Encoded examples as Trainer wants them."""


def in_order(units: list[list[Encoded]], epochs: int, rows: int, seed: int) -> Rows:
    """All epochs in one list: each shuffled anew, batches of like length, the examples that fill no batch left out.

    Units stay together: a batch that holds an instruction and its spoilt form sees the fault alone, and the demo's judge
    learns from 192 examples what it did not learn from them singly (AUC 0.75 -> 0.84). The order is data, not sampler
    state, so a resumed run sees exactly the batches that it has not seen yet.
    """
    ordered: Rows = []
    n_examples = sum(map(len, units))
    for epoch in range(epochs):
        rng = random.Random(f"{seed}-{epoch}")
        spare, kept = n_examples % rows, []
        for unit in sorted(rng.sample(units, len(units)), key=len):  # single examples are left out first
            if len(unit) <= spare:
                spare -= len(unit)
            else:
                kept.append(unit)
        # Larger units first: then an even number of rows never parts a pair. In exact order of length a batch would hold
        # one kind of fault (cut instructions are short).
        kept.sort(key=lambda unit: (-len(unit), max(len(e.input_ids) for e in unit) // LENGTH_STEP))
        examples = [vars(example) for unit in kept for example in unit]
        batches = [examples[start : start + rows] for start in range(0, n_examples // rows * rows, rows)]
        rng.shuffle(batches)
        ordered += [example for batch in batches for example in batch]
    return ordered


def collate(rows: Rows) -> dict[str, torch.Tensor]:
    """Pad on the right: input_ids with 0, labels with IGNORED.

    There is no mask, for no position looks at what stands behind it, and attention is fastest without one.
    """
    width = max(len(row["input_ids"]) for row in rows)

    def padded(key: str, filler: int) -> torch.Tensor:
        return torch.tensor([row[key] + [filler] * (width - len(row[key])) for row in rows])

    return {"input_ids": padded("input_ids", 0), "labels": padded("labels", IGNORED)}
