"""A training step of kun against the plain loop that materialises all logits, on the pinned base and the sample seeds.

Both train the same adapters with the same optimiser on the same batches; they take turns at the same step.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import torch
from peft import get_peft_model

from kun.config import load_params
from kun.engine.devices import keep_freed_memory, pick_device, pick_dtype
from kun.engine.loading import load_model
from kun.models import load_tokens, locate, read_base
from kun.params import Params
from kun.project import Project
from kun.tables.shards import read_dataset
from kun.train.arguments import lora_config
from kun.train.batches import Rows, collate, in_order
from kun.train.curves import n_targets
from kun.train.examples import build_examples, encode
from kun.train.loss import learn_targets

Step = Callable[[Rows], float]


def batches(project: Project, name: str, params: Params) -> list[Rows]:
    """The batches of the first epoch, as training lays them out."""
    tokens, end_token = load_tokens(project), read_base(project).end_token
    seeds = read_dataset(project.dataset("seeds")).filter(pl.col("split") == "train")
    units = build_examples(seeds, getattr(params.train, name), params)
    rows = params.train.batch_rows
    encoded = [[encode(example, tokens, end_token) for example in unit] for unit in units]
    ordered = in_order(encoded, 1, rows, params.train.seed)
    return [ordered[start : start + rows] for start in range(0, len(ordered), rows)]


def contender(project: Project, params: Params, on_targets: bool, dtype: str) -> Step:
    """Learns a batch and returns its loss: at target positions alone, or as transformers does by default."""
    device = pick_device()
    torch.manual_seed(params.train.seed)
    model = load_model(locate(project, read_base(project)), pick_dtype(dtype, device))
    settings = params.train
    if on_targets:
        learn_targets(model)
    else:  # the same layers: there the output layer is no nn.Linear any more
        head, model.lm_head = model.lm_head, torch.nn.Identity()
    model.config.use_cache = False
    model.requires_grad_(False)
    config = lora_config(settings, model)
    if not on_targets:
        model.lm_head = head
    model: Any = get_peft_model(model, config).to(device).train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=settings.weight_decay)

    def step(rows: Rows) -> float:
        batch = {key: tensor.to(device) for key, tensor in collate(rows).items()}
        if not on_targets:
            widths = torch.tensor([len(row["input_ids"]) for row in rows], device=device)
            batch["attention_mask"] = torch.arange(batch["input_ids"].shape[1], device=device) < widths[:, None]
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        return float(loss.detach())

    return step


def main() -> None:
    """Seconds of both for each step, medians, and how far their losses part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--name", choices=("label", "chat"), default="label")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--dtype", default="auto", help="as engine.dtype")
    given = parser.parse_args()
    project, params = Project(given.project), load_params()
    keep_freed_memory()
    contenders = {name: contender(project, params, name == "kun", given.dtype) for name in ("kun", "plain")}
    used = pick_dtype(given.dtype, pick_device())
    print(
        f"{torch.get_num_threads()} threads, {pick_device()}, {used}, {given.name}, {params.train.batch_rows} rows a step"
    )
    print("step  tokens  targets  kun s  plain s  ratio  of processor time  losses differ by")
    ratios: list[tuple[float, float]] = []
    for number, rows in enumerate(batches(project, given.name, params)[: given.steps + 1]):
        taken: dict[str, tuple[float, float, float]] = {}
        for name, step in contenders.items() if number % 2 else reversed(contenders.items()):
            wall, processor = time.perf_counter(), time.process_time()
            loss = step(rows)
            taken[name] = (time.perf_counter() - wall, time.process_time() - processor, loss)
        (ours, our_work, our_loss), (plain, plain_work, plain_loss) = taken["kun"], taken["plain"]
        tokens, targets = sum(len(row["input_ids"]) for row in rows), sum(map(n_targets, rows))
        ratios.append((plain / ours, plain_work / our_work))
        parted = abs(our_loss - plain_loss) / plain_loss
        note = "" if number else "  (warm-up, not counted)"
        print(
            f"{number:>4} {tokens:>7} {targets:>8} {ours:6.2f} {plain:8.2f} {ratios[-1][0]:5.2f}x {ratios[-1][1]:17.2f}x"
            f" {parted:17.1e}{note}",
            flush=True,
        )
    for title, values in zip(("wall time", "processor time"), zip(*ratios[1:], strict=True), strict=True):
        print(
            f"{title}: median of the ratios {statistics.median(values):.2f}x ({min(values):.2f} to {max(values):.2f})"
        )


if __name__ == "__main__":
    main()
