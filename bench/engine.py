"""The engine against the plain ways of doing the same with transformers, and beside llama.cpp: judge, score, generate.

`python bench/engine.py [--project FOLDER] [--only judge,score,generate] [--rounds 3]`, in the project's folder after `make run`.
The rows are the project's own; every contender works on the same ones, slow ones on every k-th of them. What counts is
useful tokens a second: those of prompts and texts, without padding, whoever computes what and how often; of
generation the new ones. With `--model FOLDER` (a project where `kun base` has run) another base model does the same work.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import AutoTokenizer, ContinuousBatchingConfig, GenerationConfig, pipeline

from kun.backtranslate.judge import BAD, GOOD, judge_prompt
from kun.backtranslate.label import label_prompt
from kun.config import load_params
from kun.engine.base import Sampling
from kun.engine.head import logits_of
from kun.engine.hf import HFModel
from kun.models import load_tokens, locate, read_base
from kun.project import Project
from kun.tables.shards import read_dataset
from kun.work.plan import make_batches

NEW, TEXT_TOKENS = 48, 192
PARAMS = load_params()
LLAMA = Path(".bench/llamacpp/bin/python")


@dataclass(frozen=True)
class Contender:
    """One way of doing the work."""

    name: str
    run: Callable[[list[int]], object]
    """Does the rows with these places."""
    step: int = 1
    """It gets every k-th row."""


def race(title: str, contenders: Sequence[Contender], tokens: Sequence[int], rounds: int) -> None:
    """Run all in turn, so that a slower hour of the machine hits all; print medians and ratios to the first."""
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            places = list(range(0, len(tokens), contender.step))
            start = time.perf_counter()
            contender.run(places)
            rates[contender.name].append(sum(tokens[place] for place in places) / (time.perf_counter() - start))
            print(f"{contender.name}: {rates[contender.name][-1]:.0f} tokens/s", file=sys.stderr, flush=True)
    first = statistics.median(rates[contenders[0].name])
    print(f"\n{title}, {len(tokens)} rows, {sum(tokens)} tokens\n{'':<58} {'rows':>5} {'tokens/s':>9} {'kun is':>8}")
    for contender in contenders:
        rate, rows = statistics.median(rates[contender.name]), len(range(0, len(tokens), contender.step))
        print(f"{contender.name:<58} {rows:>5} {rate:>9.0f} {first / rate:>7.2f}x", flush=True)


def planned(costs: Sequence[int]) -> list[list[int]]:
    """Places of rows, in the batches that a stage would make."""
    named = {f"{place:06d}": cost for place, cost in enumerate(costs)}
    return [
        [int(key) for key in batch] for batch in make_batches(named, PARAMS.engine.batch_tokens, PARAMS.engine.max_rows)
    ]


def left_padded(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask."""
    width = max(map(len, rows))
    ids = torch.tensor([[*[0] * (width - len(row)), *row] for row in rows])
    return ids, torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])


def slices(places: list[int], size: int) -> list[list[int]]:
    """Groups of neighbours."""
    return [places[start : start + size] for start in range(0, len(places), size)]


@torch.inference_mode()
def judge(model: HFModel, instructions: Sequence[str], rounds: int) -> None:
    """Two verdicts for each prompt: a rubric of some 500 tokens that all share, and an instruction."""
    rubric = replace(PARAMS.judge, rubric="full")
    prompts = [model.chat(judge_prompt(instruction, rubric)) for instruction in instructions]
    ids = model.tokens.encode(prompts)
    verdicts = [row[0] for row in model.tokens.encode([GOOD, BAD])]

    def ours(places: list[int]) -> None:
        for batch in planned([len(ids[place]) for place in places]):
            model.choices([prompts[places[row]] for row in batch], [GOOD, BAD])

    def batched(places: list[int], size: int, last_only: bool) -> None:
        for group in slices(places, size):
            padded, mask = left_padded([ids[place] for place in group])
            logits = model.model(input_ids=padded, attention_mask=mask, logits_to_keep=int(last_only)).logits
            logits[:, -1].float().log_softmax(-1)[:, verdicts]

    contenders = [
        Contender("kun: one pass for the rubric, batches by length", ours),
        Contender("batches of 4, all logits", lambda places: batched(places, 4, False), 8),
        Contender("batches of 16, last logits", lambda places: batched(places, 16, True), 4),
        Contender("one by one, last logits", lambda places: batched(places, 1, True), 8),
        Contender("one by one, all logits", lambda places: batched(places, 1, False), 8),
    ]
    race("Judge", contenders, [len(row) for row in ids], rounds)


@torch.inference_mode()
def score(model: HFModel, plain: HFModel | None, pairs: Sequence[tuple[str, str]], rounds: int) -> None:
    """Losses of answers with and without their instruction, as IFD asks for them; `plain` is the model in float32."""
    both = [pair for instruction, answer in pairs for pair in ((model.chat(instruction), answer), ("", answer))]
    heads = model.tokens.encode([head for head, _ in both])
    tails = model.tokens.encode([tail for _, tail in both])
    begin = model.model.config.bos_token_id
    rows = [[*(head or [begin]), *tail] for head, tail in zip(heads, tails, strict=True)]
    tokens = [len(row) for row in rows]

    def ours(places: list[int]) -> None:
        for batch in planned([tokens[place] for place in places]):
            model.losses([both[places[row]] for row in batch])

    def one_by_one(scorer: HFModel, places: list[int]) -> list[float]:
        found = []
        for place in places:
            ids = torch.tensor([rows[place]])
            labels = ids.clone()
            labels[:, : -len(tails[place])] = -100
            found.append(float(scorer.model(input_ids=ids, labels=labels).loss))
        return found

    def ceiling(places: list[int]) -> None:
        """The same tokens through the body as rows of one length, and the head for as many places: no padding, no loss."""
        stream = [token for place in places for token in rows[place]]
        length = len(stream) // len(places)
        even = [stream[start : start + length] for start in range(0, len(stream) - length + 1, length)]
        wanted = sum(len(tails[place]) for place in places)
        size = max(1, PARAMS.engine.batch_tokens // length)
        for group in slices(list(range(len(even))), min(size, PARAMS.engine.max_rows)):
            states = model._body(
                input_ids=torch.tensor([even[row] for row in group]), use_cache=False
            ).last_hidden_state
            flat = states.flatten(0, 1)[: wanted * len(group) // len(even)]
            for part in flat.split(128):
                logits_of(model._head, part)

    contenders = [
        Contender("kun: batches by length, head where it is needed", ours),
        Contender("one by one, all logits", lambda places: one_by_one(model, places), 8),
        Contender("ceiling: equal lengths, no padding, no loss", ceiling),
    ]
    if plain is not None:
        in_float32 = Contender("one by one, all logits, float32", lambda places: one_by_one(plain, places), 8)
        contenders.insert(2, in_float32)
    race("Score", contenders, tokens, rounds)
    some = list(range(0, len(rows), 8))
    batched = [loss.total / loss.n_tokens for loss in model.losses([both[place] for place in some])]
    for name, scorer in (("one by one", model), ("one by one in float32", plain)):
        if scorer is not None:
            apart = [abs(a - b) / b for a, b in zip(batched, one_by_one(scorer, some), strict=True)]
            print(f"relative difference to {name}: median {statistics.median(apart):.1e}, at most {max(apart):.1e}")


def generate(model: HFModel, texts: Sequence[str], folder: Path, gguf: Path | None, rounds: int) -> None:
    """NEW tokens behind each prompt; ends are passed over, so that all write the same number."""
    prompts = [model.chat(label_prompt(text, PARAMS.label.lang)) for text in texts]
    ids = model.tokens.encode(prompts)
    model._ends = torch.tensor([], dtype=torch.long)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    piped = pipeline("text-generation", model=model.model, tokenizer=tokenizer)
    plain = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "pad_token_id": 0}

    def ours(places: list[int]) -> None:
        for batch in planned([len(ids[place]) + NEW for place in places]):
            model.generate([prompts[places[row]] for row in batch], Sampling(NEW))

    def batched(places: list[int], size: int) -> None:
        for group in slices(places, size):
            padded, mask = left_padded([ids[place] for place in group])
            model.model.generate(padded, attention_mask=mask, **plain)

    def continuous(places: list[int]) -> None:
        config = GenerationConfig(max_new_tokens=NEW, do_sample=False, pad_token_id=0, eos_token_id=-1)
        room = ContinuousBatchingConfig(num_blocks=64, max_batch_tokens=256)  # 512 of each would take 15 GB
        told = model.model.generate_batch([ids[place] for place in places], config, continuous_batching_config=room)
        assert {len(row.generated_tokens) for row in told.values()} == {NEW}, "it logs its errors and goes on"

    def by_length(places: list[int]) -> list[int]:
        return sorted(places, key=lambda place: len(ids[place]))

    contenders = [
        Contender("kun: batches by length", ours),
        Contender("transformers pipeline, one by one", lambda places: piped([prompts[p] for p in places], **plain), 16),
        Contender("transformers generate, batches of 8, unsorted", lambda places: batched(places, 8), 4),
        Contender("transformers generate, batches of 32, sorted", lambda places: batched(by_length(places), 32)),
        Contender("transformers generate_batch (continuous batching)", continuous, 8),
    ]
    race("Generate", contenders, [NEW] * len(prompts), rounds)
    if gguf is not None and LLAMA.is_file():
        beside_llama(ids, gguf)


def beside_llama(ids: list[list[int]], gguf: Path) -> None:
    """llama.cpp with the same prompts and the quantised file that the base model was converted from."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(ids, file)
        file.flush()
        command = [str(LLAMA), "bench/peers/generate_llamacpp.py", file.name, str(gguf), str(NEW)]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    name = f"llama.cpp {told['version']}, its own quantised weights"
    print(f"{name:<58} {len(ids):>5} {told['tokens'] / told['seconds']:>9.0f}")


def main() -> None:
    """All claims that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path())
    parser.add_argument("--gguf", type=Path, help="the file for llama.cpp")
    parser.add_argument("--only", default="judge,score,generate")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="auto", help="as engine.dtype")
    asked = parser.parse_args()
    home = Project(asked.model)
    base = read_base(home)
    folder = locate(home, base)
    model = HFModel(folder, load_tokens(home), base.end_token, dtype=asked.dtype)
    is_exact = model.model.dtype == torch.float32
    seeds = read_dataset(Project().dataset("seeds")).head(asked.rows)
    texts = read_dataset(Project().dataset("decontaminated"))["text"].head(asked.rows).str.head(TEXT_TOKENS).to_list()
    print(f"{base.name}, {torch.get_num_threads()} threads, {model.device}, {model.model.dtype}; {torch.__version__}")
    if "judge" in asked.only:
        judge(model, seeds["instruction"].to_list(), asked.rounds)
    if "score" in asked.only:
        plain = None if is_exact else HFModel(folder, load_tokens(home), base.end_token, dtype="float32")
        score(model, plain, list(seeds.select("instruction", "output").iter_rows()), asked.rounds)
    if "generate" in asked.only:
        generate(model, texts, folder, asked.gguf, asked.rounds)


if __name__ == "__main__":
    main()
