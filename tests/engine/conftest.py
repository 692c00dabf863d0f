"""Two tiny models: the taught Llama of tests/tiny.py, and a Gemma 3 of random weights, whose attention slides."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from kun.engine.hf import HFModel
from kun.engine.tokens import TokenizerFile
from tests.tiny import CHATML

END = "<|im_end|>"
WINDOW = 8


def tokens_of(folder: Path, template: str = CHATML) -> TokenizerFile:
    return TokenizerFile(folder, template, "<bos>", "<eos>")


@pytest.fixture(scope="session")
def gemma_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gemma") / "base"
    torch.manual_seed(1)
    config = Gemma3TextConfig(
        vocab_size=len(tokens_of(tiny_base)._tokenizer.get_vocab()),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        initializer_range=0.3,
    )
    Gemma3ForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_base / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def llama(tiny_base: Path) -> HFModel:
    return HFModel(tiny_base, tokens_of(tiny_base), END, dtype="float32")


@pytest.fixture(scope="session")
def gemma(gemma_base: Path) -> HFModel:
    return HFModel(gemma_base, tokens_of(gemma_base), END, dtype="float32")


@pytest.fixture(params=["llama", "gemma"])
def model(request: pytest.FixtureRequest) -> Iterator[HFModel]:
    yield request.getfixturevalue(request.param)
