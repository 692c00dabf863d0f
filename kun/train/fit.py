"""One training run with transformers' Trainer, on one process or many; a killed run goes on to the same bytes."""

import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl

from kun import processes
from kun.engine.devices import keep_freed_memory, pick_device, pick_dtype
from kun.engine.loading import check_model, load_model, places_of
from kun.errors import ConfigError, ModelError
from kun.params import Params
from kun.tables.shards import disk_errors, write_json, write_text
from kun.train.arguments import lora_config, rows_at_once, training_arguments
from kun.train.batches import Rows, collate
from kun.train.curves import Clock, by_epoch, by_step, measures, peak_memory
from kun.train.heldout import heldout_loss, share_of
from kun.train.loss import learn_targets, own_config

TOLD_STEPS = 10  # between two lines on stderr
KEPT_CHECKPOINTS = 2
COMPLETE = "complete"  # written last into a checkpoint: a kill in mid-save leaves a folder without it


@dataclass(frozen=True)
class Job:
    """What is to be trained, and the folder in scratch that holds all that a killed run needs to go on."""

    name: str
    folder: Path
    base: Path
    """Folder of the base model."""
    params: Params
    rows: Rows
    """Training examples in the order in which they are learned, all epochs."""
    heldout: Rows
    batch_rows: int
    """Of one step, all processes together."""
    epochs: int

    @property
    def best(self) -> Path:
        """The weights of the epoch with the lowest held-out loss."""
        return self.folder / "best"

    @property
    def history(self) -> Path:
        """JSON: `epochs`, `steps` (see kun/train/curves.py) and `work`, what the run took."""
        return self.folder / "history.json"

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return (self.best / COMPLETE).is_file()

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch."""
        return len(self.rows) // self.batch_rows // self.epochs


def fit(job: Job) -> None:
    """Run, or go on from the last whole checkpoint, and leave `best` and `history`; every process calls it."""
    keep_freed_memory()
    torch.manual_seed(job.params.train.seed)
    dtype = pick_dtype(job.params.engine.dtype, pick_device())
    trainer = _Trainer(job, _load(job, dtype), dtype)
    try:
        with disk_errors(job.folder):
            trainer.go_on()
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
        raise ModelError(
            f"training does not fit into the device's memory ({str(error).splitlines()[0]}); lower train.device_rows "
            "(the batch stays what it is) or train.max_length, or set train.gradient_checkpointing"
        ) from None
    work = trainer.measures()
    if _is_main():
        log = trainer.state.log_history
        epochs, steps = by_epoch(log, job.steps_per_epoch), by_step(log, job.rows, job.batch_rows)
        write_json(job.history, {"epochs": epochs, "steps": steps, "work": work})
        (job.best / COMPLETE).touch()
        for checkpoint in job.folder.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)


def _load(job: Job, dtype: torch.dtype) -> Any:
    settings = job.params.train
    # Updates of 1e-5 vanish in bfloat16 weights: full fine-tuning keeps float32 and computes in bfloat16 (autocast).
    # LoRA trains its own float32 weights beside a base that may lie in bfloat16.
    model = load_model(job.base, torch.float32 if settings.method == "full" else dtype)
    check_model(model)
    places = places_of(model)
    if places is not None and settings.max_length > places:
        raise ModelError(f"train.max_length {settings.max_length} is more than the {places} positions of this model")
    learn_targets(model)
    if settings.method == "full":
        return model
    model.requires_grad_(False)
    return get_peft_model(model, lora_config(settings, model))


class _Trainer(Trainer):
    """Trainer with the exact held-out loss, which keeps the best epoch."""

    def __init__(self, job: Job, model: Any, dtype: torch.dtype) -> None:
        settings = job.params.train
        self._job, self._at_once = job, rows_at_once(settings, job.batch_rows)
        self._heldout = share_of(job.heldout, self._at_once, processes.rank(), processes.world_size())
        self._trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        super().__init__(
            model=model,
            args=training_arguments(settings, job.folder, job.batch_rows, job.steps_per_epoch * job.epochs, dtype),
            train_dataset=job.rows,
            data_collator=collate,
            callbacks=[Clock(), _Epochs(job, self._keep, lambda: "sharded" if self.is_fsdp_enabled else "whole")],
        )
        if processes.wants_sharding() and not self.is_fsdp_enabled:
            raise ConfigError(
                f"accelerate does not shard (FSDP) on {self.args.device.type} with {processes.world_size()} processes; "
                "start with a configuration without fsdp_config"
            )
        self.remove_callback(PrinterCallback)  # `_Epochs` tells the same in one line

    def go_on(self) -> None:
        """Train from the last whole checkpoint to the end."""
        last = last_checkpoint(self._job.folder)
        if last is None and _is_main():
            shutil.rmtree(self._job.best, ignore_errors=True)
        if last is not None:
            _refuse_other_kind(last, self.is_fsdp_enabled)
        self.train(resume_from_checkpoint=str(last) if last else None)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Held-out loss, told to log and callbacks as Trainer's own method does."""
        began = time.perf_counter()
        self.model.eval()
        loss = heldout_loss(self.model_wrapped if self.is_fsdp_enabled else self.model, self._heldout, self.accelerator)
        metrics = {"eval_loss": loss, "eval_seconds": round(time.perf_counter() - began, 4)}
        self.log(metrics)
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def measures(self) -> dict[str, Any]:
        """What the run took; every process calls it, for memory is that of the process with the most."""
        device = self.args.device
        peak = torch.tensor([peak_memory(device)], device=device)
        job, log = self._job, self.state.log_history
        return {
            **measures(by_step(log, job.rows, job.batch_rows), log, job.rows, self._at_once),
            "peak_memory": int(self.accelerator.gather(peak).max()),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "processes": processes.world_size(),
            "sharded": self.is_fsdp_enabled,
            "parameters_trained": self._trained,
        }

    def _keep(self) -> None:
        """Put the weights into `best`; under FSDP all processes help to collect them."""
        state = self.accelerator.get_state_dict(self.model_wrapped) if self.is_fsdp_enabled else None
        if state:  # collected from shards, tied weights no longer share memory, by which they are told
            for name in getattr(self.model, "all_tied_weights_keys", {}):
                state.pop(name, None)
        if _is_main():
            shutil.rmtree(self._job.best, ignore_errors=True)
            with own_config(self.model):
                self.model.save_pretrained(self._job.best, state_dict=state)


class _Epochs(TrainerCallback):
    """Evaluates at the end of each epoch, keeps the best one, marks whole checkpoints, tells how far it is."""

    def __init__(self, job: Job, keep: Callable[[], None], kind: Callable[[], str]) -> None:
        self._job, self._keep, self._kind = job, keep, kind

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_evaluate = state.global_step % self._job.steps_per_epoch == 0
        control.should_save = control.should_evaluate or state.global_step % self._job.params.train.save_steps == 0

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        # From the log, not from `best`: so all processes agree, and a run that was killed in here does it again.
        earlier = [entry["eval_loss"] for entry in state.log_history[:-1] if "eval_loss" in entry]
        if metrics["eval_loss"] < min(earlier, default=math.inf):
            self._keep()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        processes.wait_for_all()  # each process writes a part of the checkpoint
        if state.is_world_process_zero:
            write_text(self._job.folder / f"checkpoint-{state.global_step}" / COMPLETE, self._kind())
            for checkpoint in by_step_number(self._job.folder)[:-KEPT_CHECKPOINTS]:
                shutil.rmtree(checkpoint)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        step = state.global_step
        for name in ("loss", "eval_loss"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise ModelError(
                    f"train {self._job.name}: the loss is not a number at step {step}; lower train.learning_rate"
                )
        due = step % TOLD_STEPS == 0 or step % self._job.steps_per_epoch == 0
        shown = {k: v for k, v in logs.items() if k in ("loss", "eval_loss", "learning_rate")}
        if state.is_world_process_zero and due and shown:
            facts = ", ".join(f"{key} {value:.4g}" for key, value in shown.items())
            print(f"train {self._job.name}: step {step}/{state.max_steps}, {facts}", file=sys.stderr, flush=True)


def by_step_number(folder: Path) -> Sequence[Path]:
    """Checkpoints in the order of their steps, whatever the clock said."""
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))


def last_checkpoint(folder: Path) -> Path | None:
    """The last one that was written to its end."""
    return next((path for path in reversed(by_step_number(folder)) if (path / COMPLETE).is_file()), None)


def _refuse_other_kind(checkpoint: Path, sharded: bool) -> None:
    if ((checkpoint / COMPLETE).read_text(encoding="utf-8") == "sharded") != sharded:
        was, now = ("without", "with") if sharded else ("with", "without")
        raise ModelError(
            f"{checkpoint} was written {was} FSDP and cannot go on {now} it; launch as before, or delete "
            f"{checkpoint.parent} to begin anew"
        )


def _is_main() -> bool:
    return processes.rank() == 0
