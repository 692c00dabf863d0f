"""train.* of params.yaml as transformers' TrainingArguments, and as peft's LoraConfig."""

import sys
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import TrainingArguments
from transformers.pytorch_utils import Conv1D

from kun import processes
from kun.engine.devices import pick_device
from kun.errors import InputError, ModelError
from kun.params import Train


def rows_at_once(settings: Train, batch_rows: int) -> int:
    """Rows that a process holds at a time; InputError when a batch does not divide among the processes."""
    world = processes.world_size()
    if batch_rows % world:
        raise InputError(f"train.batch_rows {batch_rows} does not divide among {world} processes")
    own = batch_rows // world
    return max(n for n in range(1, min(own, settings.device_rows) + 1) if own % n == 0)


def training_arguments(
    settings: Train, folder: Path, batch_rows: int, steps: int, dtype: torch.dtype
) -> TrainingArguments:
    """For `steps` steps of `batch_rows` rows, all processes together, computed in `dtype`."""
    at_once = rows_at_once(settings, batch_rows)
    device = pick_device().type
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=batch_rows // processes.world_size() // at_once,
        num_train_epochs=1,  # `in_order` has laid the epochs out already
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(settings.warmup_share * steps),
        weight_decay=settings.weight_decay,
        activation_checkpointing=settings.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if settings.gradient_checkpointing else None,
        train_sampling_strategy="sequential",
        logging_steps=1,  # a mean over more steps would forget, when resumed, those before the checkpoint
        logging_nan_inf_filter=False,  # `Epochs` stops at the first such loss
        save_strategy="no",  # `Epochs` says when, so that evaluation always goes before its checkpoint
        bf16=dtype == torch.bfloat16,
        seed=settings.seed,
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=device == "cuda",
        use_cpu=device == "cpu",
        ddp_find_unused_parameters=False,
    )
    # Several GPUs without `accelerate launch`: Trainer would feed them all, with as many times the batch.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def lora_config(settings: Train, model: Any) -> LoraConfig:
    """Adapters on every linear layer of the chosen blocks; of the upper ones when `lora_layers` is a number.

    Backward passes stop below the lowest adapter, so half the layers cost a quarter less time. Experts that lie together
    in one tensor are no layers: they stay as they are, which the main process says. ModelError without any linear layer.
    """
    linear = {
        name.split(".")[-1]: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
    }
    if not linear:
        raise ModelError(
            f"models of type {model.config.model_type} have no linear layers for adapters; set train.method to full"
        )
    if (experts := _experts(model)) and processes.rank() == 0:
        print(
            f"train.method lora: the experts ({', '.join(experts)}) get no adapters and stay as they are; "
            "full trains them too",
            file=sys.stderr,
        )
    n_layers = model.config.num_hidden_layers
    layers = None if settings.lora_layers == "all" else list(range(n_layers - int(settings.lora_layers), n_layers))
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=sorted(linear),  # the output layer has become a PassThroughHead
        layers_to_transform=layers,
        # GPT-2's layers hold their weights the other way round.
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in linear.values()),
        task_type="CAUSAL_LM",
    )


def _experts(model: Any) -> list[str]:
    """Modules whose weights are those of many experts in one tensor, [experts, ., .], by the names of their classes."""
    return sorted(
        {
            type(module).__name__
            for module in model.modules()
            if not isinstance(module, torch.nn.Conv1d)
            and any(weight.ndim == 3 and len(weight) > 1 for weight in module.parameters(recurse=False))
        }
    )
