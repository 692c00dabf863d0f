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

WINDOWED = {"sliding_attention", "chunked_attention", "local"}
"""Kinds of layers that look back over so many tokens only."""
GAP = 32  # tokens

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


@torch.inference_mode()
def minds_gaps(model: Any) -> bool:
    """Whether padding between two parts of a row would change what the second part computes.

    A window counts the padding (Gemma 3, Mistral, GPT-Neo). Where a distance between tokens does (MPT), a short gap shows it.
    """
    config = model.config
    layers = {*(getattr(config, "layer_types", None) or ()), *(getattr(config, "attention_layers", None) or ())}
    if layers & WINDOWED or (not layers and getattr(config, "sliding_window", None)):
        return True
    whole, ahead, between = (_last_state(model, gap, place) for gap, place in ((0, 0), (GAP, 0), (GAP, 3)))
    # In bfloat16 rounding moves states by 2%; as much as padding ahead of a row does, which every batch has, is none.
    return float((between - whole).norm()) > 2 * float((ahead - whole).norm()) + 0.001 * float(whole.norm())


def _last_state(model: Any, gap: int, place: int) -> torch.Tensor:
    """Hidden state of the last of six tokens, with `gap` places of padding after the first `place` of them."""
    ids = torch.arange(1, 7, device=model.device)[None] % model.config.vocab_size
    ids = torch.cat([ids[:, :place], ids.new_zeros(1, gap), ids[:, place:]], dim=1)
    mask = torch.ones_like(ids)
    mask[:, place : place + gap] = 0
    places = (mask.cumsum(1) - 1).clamp(min=0)
    return model.base_model(input_ids=ids, attention_mask=mask, position_ids=places).last_hidden_state[0, -1].float()


def places_of(model: Any) -> int | None:
    """How many tokens a row may have; None where positions are computed (rotary), not learned."""
    limit = getattr(model.config, "max_position_embeddings", None)
    learned = (part for name, part in model.named_modules() if name.split(".")[-1] in LEARNED_POSITIONS)
    return limit if limit and any(isinstance(part, torch.nn.Embedding) for part in learned) else None
