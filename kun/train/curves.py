"""What a training run tells of its course: loss, learning rate, gradient norm and speed by step, losses by epoch."""

import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from kun.tables.shards import write_text
from kun.train.batches import Rows
from kun.train.examples import IGNORED

POINTS = 500
"""Of a curve at most: neighbouring steps of longer runs share one."""

Facts = dict[str, Any]


class Clock(TrainerCallback):
    """Adds `seconds` to the log entry of each step; the log is part of a checkpoint, so a resumed run knows the earlier ones."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        if "loss" in logs:  # Trainer has read the loss by now, so the device has finished the step
            state.log_history[-1]["seconds"] = round(time.perf_counter() - self._began, 4)


def by_epoch(log: Sequence[Facts], steps_per_epoch: int) -> list[Facts]:
    """For each epoch the mean training loss of its steps and the held-out loss behind it."""
    history, losses = [], []
    for entry in log:
        if "loss" in entry:
            losses.append(entry["loss"])
        if "eval_loss" in entry:
            epoch = round(entry["step"] / steps_per_epoch)
            history.append(
                {"epoch": epoch, "train_loss": sum(losses) / len(losses), "heldout_loss": entry["eval_loss"]}
            )
            losses = []
    return history


def by_step(log: Sequence[Facts], rows: Rows, batch_rows: int) -> list[Facts]:
    """For each step what was logged, and its `tokens` and `targets`; `rows` are all training examples in their order."""
    found = []
    for entry in log:
        if "loss" in entry:
            batch = rows[(entry["step"] - 1) * batch_rows : entry["step"] * batch_rows]
            names = ("step", "loss", "learning_rate", "grad_norm", "seconds")
            counts = {"tokens": sum(len(row["input_ids"]) for row in batch), "targets": sum(map(n_targets, batch))}
            found.append({name: entry[name] for name in names} | counts)
    return found


def n_targets(row: dict[str, list[int]]) -> int:
    """Tokens of an example that are learned."""
    return sum(label != IGNORED for label in row["labels"][1:])


def padding(rows: Rows, at_once: int) -> float:
    """Share of the positions of batches of `at_once` rows that hold no token."""
    batches = [rows[start : start + at_once] for start in range(0, len(rows), at_once)]
    positions = sum(len(batch) * max(len(row["input_ids"]) for row in batch) for batch in batches)
    return 1 - sum(len(row["input_ids"]) for row in rows) / positions


def peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU's memory where there is one, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measures(steps: Sequence[Facts], log: Sequence[Facts], rows: Rows, at_once: int) -> Facts:
    """Seconds, tokens and speed of all steps of a run, those before a kill included."""
    seconds = sum(step["seconds"] for step in steps)
    tokens, targets = (sum(step[name] for step in steps) for name in ("tokens", "targets"))
    return {
        "steps": len(steps),
        "seconds": round(seconds, 2),
        "heldout_seconds": round(sum(entry.get("eval_seconds", 0.0) for entry in log), 2),
        "tokens": tokens,
        "target_tokens": targets,
        "tokens_per_second": round(tokens / seconds, 1),
        "target_tokens_per_second": round(targets / seconds, 1),
        "padding_share": round(padding(rows, at_once), 4),
    }


def write_curves(folder: Path, history: Sequence[Facts], steps: Sequence[Facts], steps_per_epoch: int) -> None:
    """Files for `dvc plots` (DVCLive), one a curve; `step` of each is the optimiser's, so that all share one axis."""
    from dvclive import Live

    with Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:
        for group in _groups(steps):
            live.step = group[-1]["step"]
            for curve, name in (("train_loss", "loss"), ("learning_rate",) * 2, ("grad_norm",) * 2):
                live.log_metric(curve, float(f"{sum(step[name] for step in group) / len(group):.6g}"))
        for entry in history:
            live.step = entry["epoch"] * steps_per_epoch
            live.log_metric("heldout_loss", round(entry["heldout_loss"], 4))
        live.make_summary()


def write_speed(file: Path, steps: Sequence[Facts]) -> None:
    """A table for `dvc plots`: tokens and target tokens a second."""
    lines = ["step\ttokens_per_second\ttarget_tokens_per_second"]
    for group in _groups(steps):
        seconds = sum(step["seconds"] for step in group)
        speeds = [round(sum(step[name] for step in group) / seconds, 1) for name in ("tokens", "targets")]
        lines.append("\t".join(map(str, (group[-1]["step"], *speeds))))
    write_text(file, "\n".join([*lines, ""]))


def _groups(steps: Sequence[Facts]) -> list[Sequence[Facts]]:
    """Neighbouring steps that share a point."""
    width = -(-len(steps) // POINTS)
    return [steps[start : start + width] for start in range(0, len(steps), width)]
