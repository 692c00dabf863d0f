"""Weights of a model, and whether its logits are what the engine takes them for."""

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from kun.errors import ModelError


def load_model(folder: Path, dtype: torch.dtype, adapter: Path | None = None) -> Any:
    """The model in `folder`, an adapter merged into its weights; ModelError when either does not load."""
    logging.disable_progress_bar()
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = (
        "false"  # else a launch with FSDP leaves all ranks but 0 empty weights
    )
    try:
        if adapter is not None and not (adapter / "adapter_config.json").is_file():
            folder, adapter = adapter, None  # fully fine-tuned
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"cannot load the model in {adapter or folder}: {str(error).splitlines()[0]}") from error
    return model


def check_head(model: Any) -> None:
    """ModelError unless logits are the head's weight times hidden states: some models scale or shift them.

    Scores and training losses apply the head themselves, and would be wrong without a word.
    """
    ids = torch.tensor([[0, 1]], device=model.device)
    with torch.no_grad():
        told = model(input_ids=ids).logits[0].float()
        states = model.base_model(input_ids=ids).last_hidden_state[0]
        ours = softcap((model.get_output_embeddings().weight @ states.T).T.float(), model.config)
    if float((told - ours).abs().max()) > 0.02 * float(told.abs().max()):
        raise ModelError(
            f"models of type {model.config.model_type} scale or shift their logits, which kun does not know"
        )


def softcap(logits: torch.Tensor, config: Any) -> torch.Tensor:
    """Gemma 2 bounds its logits; others leave them as they are."""
    cap = getattr(config, "final_logit_softcapping", None)
    return logits if cap is None else torch.tanh(logits / cap) * cap
