"""Weights of a model, and whether it is what the engine takes it for."""

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from kun.engine.head import softcap
from kun.errors import ModelError

LEARNED_POSITIONS = {"wpe", "embed_positions", "position_embeddings"}
"""What models call the table of their positions: GPT-2 and its kin, OPT, GPT-BigCode."""

CACHED = {"full_attention", "sliding_attention", "chunked_attention", "dense", "sparse"}
"""Kinds of layers whose state is keys and values, or nothing (the last two are kinds of MLP)."""


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


def check_model(model: Any) -> None:
    """ModelError for a model that scores, training or generation would get wrong.

    Logits must be the head's weight times hidden states, which some models scale or shift: scores and training losses apply
    the head themselves. Layers must keep keys and values alone: behind Mamba or a convolution what was trained could write
    no text.
    """
    if others := set(getattr(model.config, "layer_types", None) or ()) - CACHED:
        raise ModelError(
            f"models of type {model.config.model_type} have layers of kind {', '.join(sorted(others))}, whose state kun's "
            "cache does not hold; choose a model of attention layers alone"
        )
    ids = torch.tensor([[0, 1]], device=model.device)
    with torch.no_grad():
        told = model(input_ids=ids).logits[0].float()
        states = model.base_model(input_ids=ids).last_hidden_state[0]
        ours = softcap((model.get_output_embeddings().weight @ states.T).T.float(), cap_of(model))
    if float((told - ours).abs().max()) > 0.02 * float(told.abs().max()):
        raise ModelError(
            f"models of type {model.config.model_type} scale or shift their logits, which kun does not know"
        )


def cap_of(model: Any) -> float | None:
    """What bounds the model's logits; None: nothing."""
    return getattr(model.config, "final_logit_softcapping", None)


def forgets(model: Any) -> bool:
    """Whether a layer looks back over so many tokens only, padding included."""
    kinds = getattr(model.config, "layer_types", None)
    return bool(set(kinds) - {"full_attention"}) if kinds else bool(getattr(model.config, "sliding_window", None))


def places_of(model: Any) -> int | None:
    """How many tokens a row may have; None where positions are computed (rotary), not learned."""
    limit = getattr(model.config, "max_position_embeddings", None)
    learned = (part for name, part in model.named_modules() if name.split(".")[-1] in LEARNED_POSITIONS)
    return limit if limit and any(isinstance(part, torch.nn.Embedding) for part in learned) else None
