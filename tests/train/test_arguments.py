"""Which layers of which models get adapters."""

import pytest
import torch
from peft import get_peft_model
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
)

from kun.errors import ModelError
from kun.train.arguments import lora_config
from kun.train.loss import learn_targets
from tests.made import PARAMS, changed

LORA = changed(PARAMS.train, method="lora", lora_layers="all", lora_rank=2)
SIZES = {"vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}


def gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=60, n_positions=64, n_embd=32, n_layer=2, n_head=2))


def mixtral() -> PreTrainedModel:
    return MixtralForCausalLM(MixtralConfig(**SIZES, **HEADS, num_local_experts=2))


def llama() -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS))


def adapted(model: PreTrainedModel, layers: str | int = "all") -> set[str]:
    """The layers that get adapters in training, as transformers names them."""
    learn_targets(model)
    tuned = get_peft_model(model, lora_config(changed(LORA, lora_layers=layers), model))
    return {
        name.removeprefix("base_model.model.").removesuffix(".lora_A.default")
        for name, _ in tuned.named_modules()
        if name.endswith(".lora_A.default")
    }


@pytest.mark.filterwarnings("error:fan_in_fan_out")
def test_the_layers_of_gpt2_are_linear_under_another_name(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert adapted(gpt2()) == {f"transformer.h.{layer}.{kind}" for layer in (0, 1) for kind in kinds}
    assert adapted(gpt2(), layers=1) == {f"transformer.h.1.{kind}" for kind in kinds}
    assert capsys.readouterr().err == ""


def test_experts_that_get_no_adapter_are_told_by_the_main_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = ("q_proj", "k_proj", "v_proj", "o_proj")
    attention = {f"model.layers.{layer}.self_attn.{kind}" for layer in (0, 1) for kind in kinds}
    assert adapted(mixtral()) == attention
    assert capsys.readouterr().err == (
        "train.method lora: the experts (MixtralExperts) get no adapters and stay as they are; full trains them too\n"
    )
    monkeypatch.setenv("RANK", "1")
    assert adapted(mixtral()) == attention
    assert capsys.readouterr().err == "", "said once"


def test_a_dense_model_has_no_experts(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(adapted(llama())) == 2 * 7
    assert capsys.readouterr().err == ""


def test_a_model_without_linear_layers_names_the_way_out() -> None:
    class Odd(torch.nn.Module):
        config = LlamaConfig(**SIZES, **HEADS)

        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(60, 32)

    with pytest.raises(ModelError) as caught:
        lora_config(LORA, Odd())
    assert str(caught.value) == "models of type llama have no linear layers for adapters; set train.method to full"
