"""Supervised fine-tuning of the label model or the chat model, with transformers' Trainer; a killed run goes on."""

import json
import shutil
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import torch
from peft import LoraConfig, get_peft_model
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from kun import processes
from kun.engine.hf import check_head, keep_freed_memory, load_model, pick_device, pick_dtype
from kun.errors import InputError, ModelError
from kun.models import load_tokens, locate, read_base
from kun.params import Params, Train
from kun.project import Project
from kun.tables.shards import disk_errors, read_dataset, write_json
from kun.train.batches import collate, in_order
from kun.train.examples import Encoded, build_examples, encode
from kun.train.loss import PassThroughHead, TargetLoss
from kun.work.scratch import Scratch, content_key

VERSION = 3  # part of the run's key: raise it when this file changes what is learned
TOLD_STEPS = 10  # between two lines on stderr
COMPLETE = "complete"  # written last into a checkpoint: a kill in mid-save leaves a folder without it


def train(project: Project, name: str, params: Params) -> dict[str, Any] | None:
    """Train models/<name> (`label` or `chat`) from data/seeds; returns its summary, None on helper ranks.

    The epoch with the lowest held-out loss is kept. Checkpoints live in scratch under a key of everything that decides
    the result, so a rerun continues a killed run and costs nothing after a finished one.
    """
    seeds = read_dataset(project.dataset("seeds"))
    task = getattr(params.train, name)
    base, tokens = read_base(project), load_tokens(project)
    parts = {}
    for split in ("train", "heldout"):
        rows = seeds.filter(pl.col("split") == split)
        share = rows.height / max(seeds.height - rows.height, 1) if split == "heldout" else 1.0
        units = build_examples(rows, task, params, share)
        parts[split] = [[encode(example, tokens, base.end_token) for example in unit] for unit in units]
    identity = {
        "version": VERSION,
        "model": base.fingerprint,
        "dtype": params.engine.dtype,
        "train": {k: v for k, v in asdict(params.train).items() if k not in ("label", "chat", "save_steps")},
        "epochs": task.epochs,
        "data": content_key([[[asdict(e) for e in unit] for unit in part] for part in parts.values()]),
    }
    scratch = Scratch(project.scratch, f"train-{name}", identity, {})
    with scratch.locked() if _is_main() else nullcontext():  # the other ranks belong to the holder
        run = _Run(project, name, scratch.folder, params, task.epochs, parts)
        if not (run.best / COMPLETE).is_file():
            run.train()
        if _is_main():
            for checkpoint in scratch.folder.glob("checkpoint-*"):
                shutil.rmtree(checkpoint)
    return _publish(project, name, run) if _is_main() else None


class _Run:
    """One training run and its folder in scratch: checkpoint-*/, best/, history.json."""

    def __init__(
        self,
        project: Project,
        name: str,
        folder: Path,
        params: Params,
        epochs: int,
        parts: dict[str, list[list[Encoded]]],
    ) -> None:
        self.name, self.folder, self.best, self.params = name, folder, folder / "best", params
        self._project, self._epochs = project, epochs
        longest = params.train.max_length
        units = {
            split: [unit for unit in part if all(len(e.input_ids) <= longest for e in unit)]
            for split, part in parts.items()
        }
        self.units = units["train"]
        self.kept = {split: [example for unit in part for example in unit] for split, part in units.items()}
        made = {split: sum(map(len, part)) for split, part in parts.items()}
        self.left_out = sum(made.values()) - sum(map(len, self.kept.values()))
        for split, part in self.kept.items():
            if not part:
                raise InputError(
                    f"no {split} examples for {name}: {made[split]} were made from data/seeds (pairs with an input "
                    f"make none for labelling and polishing), none has at most train.max_length {longest} tokens; "
                    "add seeds, or raise train.max_length or seeds.heldout"
                )
        self.rows = min(params.train.batch_rows, len(self.kept["train"]))
        self._dtype = pick_dtype(params.engine.dtype, pick_device())
        self.steps_per_epoch = len(self.kept["train"]) // self.rows

    def train(self) -> None:
        """Run, or go on from the last whole checkpoint, and leave the best epoch in `best`."""
        keep_freed_memory()
        torch.manual_seed(self.params.train.seed)
        model, head = self._model()
        last = _last_checkpoint(self.folder)
        if last is None:
            shutil.rmtree(self.best, ignore_errors=True)
        trainer = Trainer(
            model=model,
            args=self._arguments(),
            train_dataset=in_order(self.units, self._epochs, self.rows, self.params.train.seed),
            eval_dataset=[vars(e) for e in self.kept["heldout"]],
            data_collator=collate,
            compute_loss_func=TargetLoss(head),
            callbacks=[_Epochs(self, model)],
        )
        trainer.remove_callback(PrinterCallback)  # `_Epochs` tells the same in one line
        try:
            with disk_errors(self.folder):
                trainer.train(resume_from_checkpoint=str(last) if last else None)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"training does not fit into the device's memory ({str(error).splitlines()[0]}); lower train.device_rows "
                "(the batch stays what it is) or train.max_length"
            ) from None
        if _is_main():
            if not self.best.is_dir():
                raise ModelError("the held-out loss is not a number in any epoch; lower train.learning_rate")
            write_json(self.folder / "history.json", self._history(trainer.state.log_history))
            (self.best / COMPLETE).touch()

    def _model(self) -> tuple[Any, PassThroughHead]:
        base, settings = read_base(self._project), self.params.train
        # Updates of 1e-5 vanish in bfloat16 weights: full fine-tuning keeps float32 and computes in bfloat16 (autocast).
        # LoRA trains its own float32 weights beside a base that may lie in bfloat16.
        dtype = torch.float32 if settings.method == "full" else self._dtype
        model = load_model(locate(self._project, base), dtype)
        if getattr(model.config, "final_logit_softcapping", None) is not None:
            raise ModelError(f"{base.name} caps its logits; training it needs another loss than kun has")
        check_head(model)
        head = PassThroughHead(model.get_output_embeddings())
        model.set_output_embeddings(head)
        model.config.use_cache = False
        if settings.method == "full":
            return model, head
        model.requires_grad_(False)
        return get_peft_model(model, lora_config(settings, model)), head

    def _arguments(self) -> TrainingArguments:
        settings = self.params.train
        world = processes.world_size()
        if self.rows % world:
            raise InputError(f"train.batch_rows {self.rows} does not divide among {world} processes")
        own = self.rows // world
        at_once = max(n for n in range(1, min(own, settings.device_rows) + 1) if own % n == 0)
        steps = self.steps_per_epoch * self._epochs
        arguments = TrainingArguments(
            output_dir=str(self.folder),
            per_device_train_batch_size=at_once,
            gradient_accumulation_steps=own // at_once,
            per_device_eval_batch_size=at_once,
            num_train_epochs=1,  # `in_order` has laid the epochs out already
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=round(settings.warmup_share * steps),
            weight_decay=settings.weight_decay,
            train_sampling_strategy="sequential",
            logging_steps=1,  # a mean over more steps would forget, when resumed, those before the checkpoint
            save_strategy="no",  # `_Epochs` says when, so that evaluation always goes before its checkpoint
            save_total_limit=2,
            bf16=self._dtype == torch.bfloat16,
            seed=settings.seed,
            disable_tqdm=True,
            report_to="none",
            remove_unused_columns=False,
            prediction_loss_only=True,
            label_names=["labels"],
            dataloader_pin_memory=pick_device().type == "cuda",
            use_cpu=pick_device().type == "cpu",
            ddp_find_unused_parameters=False,  # the head works behind the forward pass, which DDP would take for unused
        )
        # Several GPUs without `accelerate launch`: Trainer would feed them all, with as many times the batch.
        arguments._n_gpu = min(arguments.n_gpu, 1)
        return arguments

    def _history(self, log: list[dict[str, Any]]) -> list[dict[str, float]]:
        """Per epoch: mean training loss of its log entries, held-out loss."""
        history, losses = [], []
        for entry in log:
            if "loss" in entry:
                losses.append(entry["loss"])
            if "eval_loss" in entry:
                epoch = round(entry["step"] / self.steps_per_epoch)
                mean = sum(losses) / len(losses) if losses else float("nan")
                history.append(
                    {"epoch": epoch, "train_loss": round(mean, 4), "heldout_loss": round(entry["eval_loss"], 4)}
                )
                losses = []
        return history


class _Epochs(TrainerCallback):
    """Evaluates at the end of each epoch, keeps the best adapter, marks whole checkpoints, tells how far it is."""

    def __init__(self, run: _Run, model: Any) -> None:
        self._run, self._model = run, model

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_evaluate = state.global_step % self._run.steps_per_epoch == 0
        control.should_save = control.should_evaluate or state.global_step % self._run.params.train.save_steps == 0

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        marker = self._run.best / "heldout.json"
        best = json.loads(marker.read_text()) if marker.is_file() else float("inf")
        if state.is_world_process_zero and metrics["eval_loss"] < best:
            self._model.save_pretrained(self._run.best)
            write_json(marker, metrics["eval_loss"])

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        due = state.global_step % TOLD_STEPS == 0 or state.global_step % self._run.steps_per_epoch == 0
        if state.is_world_process_zero and due:
            shown = {k: v for k, v in logs.items() if k in ("loss", "eval_loss", "learning_rate")}
            if shown:
                facts = ", ".join(f"{key} {value:.4g}" for key, value in shown.items())
                told = f"train {self._run.name}: step {state.global_step}/{state.max_steps}, {facts}"
                print(told, file=sys.stderr, flush=True)


def lora_config(settings: Train, model: Any) -> LoraConfig:
    """Adapters on every linear layer of the chosen blocks; of the upper ones when `lora_layers` is a number.

    Backward passes stop below the lowest adapter, so half the layers cost a quarter less time.
    """
    linear = {name.split(".")[-1] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    n_layers = model.config.num_hidden_layers
    layers = None if settings.lora_layers == "all" else list(range(n_layers - int(settings.lora_layers), n_layers))
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=sorted(linear),  # the output layer has become a PassThroughHead
        layers_to_transform=layers,
        task_type="CAUSAL_LM",
    )


def _last_checkpoint(folder: Path) -> Path | None:
    whole = [path for path in folder.glob("checkpoint-*") if (path / COMPLETE).is_file()]
    return max(whole, key=lambda path: int(path.name.split("-")[1]), default=None)


def _is_main() -> bool:
    return processes.rank() == 0


def _publish(project: Project, name: str, run: _Run) -> dict[str, Any]:
    """Copy the best epoch to models/<name>; write its summary and its curves (DVCLive) to reports/train."""
    from dvclive import Live

    target = project.adapter(name)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(run.best, target, ignore=shutil.ignore_patterns(COMPLETE, "heldout.json", "README.md"))
    base = read_base(project)
    (target / "chat_template.jinja").write_text(base.chat_template, encoding="utf-8")
    config = target / "adapter_config.json"
    if config.is_file():  # peft writes the path of this machine, and a set in an order that changes from run to run
        told = json.loads(config.read_text())
        own = {"base_model_name_or_path": base.name, "target_modules": sorted(told["target_modules"])}
        write_json(config, told | own)
    history = json.loads((run.folder / "history.json").read_text())
    best = min(history, key=lambda entry: entry["heldout_loss"])
    with Live(str(project.root / "reports" / "train" / name), save_dvc_exp=False, dvcyaml=None, report=None) as live:
        for entry in history:
            live.step = entry["epoch"]
            live.log_metric("train_loss", entry["train_loss"])
            live.log_metric("heldout_loss", entry["heldout_loss"])
            live.make_summary()
    tokens = [len(e.input_ids) for e in run.kept["train"]]
    summary = {
        "method": run.params.train.method,
        "examples": {split: len(part) for split, part in run.kept.items()},
        "left_out": run.left_out,
        "tokens_per_epoch": sum(tokens),
        "best_epoch": best["epoch"],
        "heldout_loss": best["heldout_loss"],
        "history": history,
    }
    write_json(project.root / "reports" / "train" / f"{name}.json", summary)
    return summary
