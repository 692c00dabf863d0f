"""How much of a GPU the engine uses, with a model of Yi-6B's shape and random weights in bfloat16.

`python bench/gpu.py [--only prefill,generate,train] [--rows 128]`, in the project's folder, on a machine with a GPU of 40 GB or
more and 15 GB of free disk. `--shape tiny --rows 4` does the same anywhere, to see that it runs.

prefill   scored answers: arithmetic done in a second, as a share of what a large product of matrices reaches in the same run
generate  steps a second of `--rows` texts at once, as a share of what reading weights, keys and values takes at the bandwidth
          of a large copy in the same run
train     tokens a second of a LoRA step beside a plain step that materialises all logits
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).parents[1]))

from training import contender

from kun.config import load_params
from kun.engine.base import Sampling
from kun.engine.devices import pick_device
from kun.engine.hf import HFModel
from kun.models import load_tokens, locate, pin_base, read_base
from kun.params import Model
from kun.project import Project
from kun.train.batches import Rows
from tests.tiny import make_tiny_model

PROMPT, TARGET = 384, 128
"""Tokens of a prompt, and of what is scored or written behind it."""
ROUNDS = 3


@dataclass(frozen=True)
class Shape:
    """What decides the work."""

    vocabulary: int
    hidden: int
    inner: int
    layers: int
    heads: int
    key_heads: int

    @property
    def in_layers(self) -> int:
        """Weights of the layers' products."""
        attention = 2 * self.hidden**2 + 2 * self.hidden**2 * self.key_heads // self.heads
        return self.layers * (attention + 3 * self.hidden * self.inner)

    @property
    def cached(self) -> int:
        """Keys and values of a token."""
        return 2 * self.layers * self.hidden * self.key_heads // self.heads

    def scoring(self, length: int, targets: int) -> float:
        """Operations of a text of `length` tokens whose last `targets` are scored."""
        attention = 2 * self.layers * self.hidden * length * length  # causal: half of every pair, twice
        return 2 * self.in_layers * length + attention + 2 * self.vocabulary * self.hidden * targets


SHAPES = {
    "yi-6b": Shape(64_000, 4096, 11_008, 32, 32, 4),  # 01-ai/Yi-6B, config.json
    "tiny": Shape(8_000, 64, 128, 2, 4, 2),
}


def made(folder: Path, shape: Shape) -> Project:
    """A project whose base model has that shape; its tokenizer takes characters."""
    make_tiny_model(folder / "model", steps=0)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    with torch.device(pick_device()):
        model = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder / "model")
    del model
    project = Project(folder)
    pin_base(project, Model(str(folder / "model"), "main", "CC0-1.0"))
    return project


def seconds(work: Callable[[], object]) -> float:
    """Median of some runs behind one that does not count."""
    taken = []
    for _ in range(ROUNDS + 1):
        _wait()
        began = time.perf_counter()
        work()
        _wait()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak(size: int) -> float:
    """Operations a second of a product of square bfloat16 matrices."""
    left, right = (torch.randn(size, size, device=pick_device(), dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / seconds(lambda: left @ right)


def bandwidth(size: int) -> float:
    """Bytes a second, read and written, of a copy."""
    source = torch.empty(size, device=pick_device(), dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * size / seconds(lambda: target.copy_(source))


def prefill(project: Project, shape: Shape, rows: int, whole: bool) -> None:
    """Losses of answers behind prompts of equal length: no padding, so that all tokens are work."""
    model = _model(project)
    pairs = [("问" * PROMPT, "答" * TARGET)] * rows
    per_row = shape.scoring(PROMPT + TARGET, TARGET)
    taken, best = seconds(lambda: model.losses(pairs)), peak(8192 if whole else 256)
    rate = rows * per_row / taken
    print(
        f"prefill   {rows * (PROMPT + TARGET) / taken:,.0f} tokens/s, "
        f"{rate / 1e12:.1f} of {best / 1e12:.1f} TFLOP/s: {rate / best:.0%}"
    )


def generate(project: Project, shape: Shape, rows: int, whole: bool) -> None:
    """What the second half of the tokens takes: the first holds the prompts, too."""
    model = _model(project)
    prompts = ["问" * PROMPT] * rows
    half, full = (Sampling(TARGET // part, temperature=1.0, seed=7) for part in (2, 1))
    told: dict[int, int] = {}

    def write(sampling: Sampling) -> None:
        told[sampling.max_new_tokens] = sum(one.n_new for one in model.generate(prompts, sampling))

    short, long = (seconds(lambda sampling=sampling: write(sampling)) for sampling in (half, full))  # type: ignore[misc]
    step = (long - short) / (TARGET - TARGET // 2)
    weights = 2 * (shape.in_layers + shape.vocabulary * shape.hidden)
    read = weights + 2 * rows * shape.cached * (PROMPT + TARGET * 3 // 4)
    bound = read / bandwidth(2**32 if whole else 2**24)
    print(
        f"generate  {rows} rows: {told[TARGET] / long:,.0f} new tokens/s in all, a step {step * 1e3:.1f} ms, "
        f"bound by reading {bound * 1e3:.1f} ms: {bound / step:.0%}"
    )


def train(project: Project, rows: int) -> None:
    """One batch of equal rows, through kun's step and through the plain one."""
    params = load_params()
    params = replace(params, engine=replace(params.engine, dtype="bfloat16"))
    batch: Rows = [{"input_ids": [7] * (PROMPT + TARGET), "labels": [-100] * PROMPT + [9] * TARGET}] * rows
    for name, on_targets in (("kun", True), ("all logits", False)):
        step = contender(project, params, on_targets)
        rate = rows * (PROMPT + TARGET) / seconds(lambda step=step: step(batch))  # type: ignore[misc]
        print(f"train     {name}, {rows} rows a step: {rate:,.0f} tokens/s")


def _model(project: Project) -> HFModel:
    base = read_base(project)
    return HFModel(locate(project, base), load_tokens(project), base.end_token, None, "bfloat16")


def main() -> None:
    """Each claim on one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="prefill,generate,train")
    parser.add_argument("--shape", choices=SHAPES, default="yi-6b")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--train-rows", type=int, default=8)
    asked = parser.parse_args()
    shape, whole = SHAPES[asked.shape], asked.shape != "tiny"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "processor"
    print(
        f"{device}, torch {torch.__version__}, {asked.shape}: {shape.in_layers / 1e9:.2f} billion weights in the layers"
    )
    with tempfile.TemporaryDirectory() as folder:
        project = made(Path(folder), shape)
        for name in asked.only.split(","):
            if name == "train":
                train(project, asked.train_rows)
            else:
                {"prefill": prefill, "generate": generate}[name](project, shape, asked.rows, whole)
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
