"""Engine against the plain way of doing the same with transformers, on the pinned base model and the sample corpus."""

import statistics
import time
from collections.abc import Callable

import torch

from kun.backtranslate.judge import BAD, GOOD, judge_prompt
from kun.backtranslate.label import label_prompt
from kun.config import load_params
from kun.engine.base import Sampling
from kun.engine.hf import HFModel
from kun.models import load_tokens, locate, read_base
from kun.project import Project
from kun.tables.shards import read_dataset

ROWS, NEW_TOKENS, REPEATS = 16, 24, 3


def compare(title: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Time both in turn and print medians and the ratio."""
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(REPEATS):
        for name, run in (("ours", ours), ("plain", theirs)):
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    mine, plain = statistics.median(times["ours"]), statistics.median(times["plain"])
    print(f"{title:<44} {mine:8.2f} s {plain:8.2f} s {plain / mine:6.2f}x")


def main() -> None:
    """Three claims: generation, judging, losses."""
    project, params = Project(), load_params()
    base = read_base(project)
    model = HFModel(locate(project, base), load_tokens(project), base.end_token, project.adapter("label"))
    texts = read_dataset(project.dataset("corpus"))["text"].head(ROWS).to_list()
    labels = read_dataset(project.dataset("instructions"))["instruction"].head(ROWS).to_list()
    prompts = [model.chat(label_prompt(text, "zh")) for text in texts]
    judged = [model.chat(judge_prompt(text, params.judge)) for text in labels]
    print(f"{torch.get_num_threads()} threads, {model.device}, {model.model.dtype}; {ROWS} rows\n")
    print(f"{'':<44} {'kun':>10} {'plain':>10} {'ratio':>7}")
    sampling = Sampling(NEW_TOKENS)
    compare(
        "generate: one batch / one prompt at a time",
        lambda: model.generate(prompts, sampling),
        lambda: [model.generate([prompt], sampling) for prompt in prompts],
    )
    compare(
        "generate: kun's loop / model.generate",
        lambda: model.generate(prompts, sampling),
        lambda: transformers_generate(model, prompts),
    )
    compare(
        "judge: shared rubric / one by one",
        lambda: model.choices(judged, [GOOD, BAD]),
        lambda: [model.choices([prompt], [GOOD, BAD]) for prompt in judged],
    )
    compare(
        "loss: head in pieces / full logits",
        lambda: model.losses([("", text) for text in texts[:4]]),
        lambda: full_logits(model, texts[:4]),
    )


def transformers_generate(model: HFModel, prompts: list[str]) -> torch.Tensor:
    """The library's own greedy batch."""
    ids = model.tokens.encode(prompts)
    width = max(map(len, ids))
    padded = torch.tensor([[0] * (width - len(row)) + row for row in ids])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids])
    ends = model._ends.tolist()
    with torch.inference_mode():
        return model.model.generate(
            padded, attention_mask=mask, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=ends, pad_token_id=0
        )


def full_logits(model: HFModel, texts: list[str]) -> list[float]:
    """Loss of each text from the logits of all positions."""
    losses = []
    with torch.inference_mode():
        for ids in model.tokens.encode(texts):
            row = torch.tensor([[model.model.config.bos_token_id, *ids]])
            losses.append(float(model.model(input_ids=row, labels=row).loss))
    return losses


if __name__ == "__main__":
    main()
