"""What the two models are trained on: (prompt, target) pairs, rendered by the functions that inference uses."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import polars as pl

from kun.backtranslate.judge import BAD, GOOD, judge_prompt
from kun.backtranslate.label import label_prompt
from kun.backtranslate.polish import polish_prompt
from kun.engine.tokens import TokenizerFile
from kun.params import Params, TrainTask
from kun.prompts import render
from kun.train.corrupt import CORRUPTIONS, cluttered

UNIT_SIZES = {"judge": 2}  # examples of a unit; 1 for the other tasks
IGNORED = -100  # torch's ignore_index: no loss on source tokens


@dataclass(frozen=True)
class Example:
    """One user turn and the reply to learn."""

    task: str
    prompt: str
    target: str
    deciding: bool = False
    """Learn only the token that tells the two verdicts apart, and the end."""
    templated: bool = False
    """The prompt stands in a template already; else the chat template is put around it."""


Unit = tuple[Example, ...]
"""Examples that are learned in one step: an instruction and its spoilt form, so that the step sees the fault alone."""


@dataclass(frozen=True)
class Encoded:
    """Token ids, and labels of the same length: IGNORED on the source, the ids themselves on what is to be learned."""

    input_ids: list[int]
    labels: list[int]


def build_examples(seeds: pl.DataFrame, task: TrainTask, params: Params, share: float = 1.0) -> list[Unit]:
    """Examples of all tasks, in a seeded order; a task with a positive number takes that many, 0 all that there are.

    `share` scales the numbers, so that the held-out examples keep the proportions of the training examples.
    """
    rng = random.Random(params.train.seed)
    units: list[Unit] = []
    for name, wanted in task.tasks.items():
        rows = seeds.to_dicts()
        rng.shuffle(rows)
        n_units = math.ceil(wanted * share / UNIT_SIZES.get(name, 1)) if wanted else None
        units += islice(_MAKERS[name](rows, params, rng), n_units)
    rng.shuffle(units)
    return units


def encode(example: Example, tokens: TokenizerFile, end_token: str) -> Encoded:
    """Template, prompt, target and end token; exactly what the model sees and has to write in use."""
    prompt = example.prompt if example.templated else tokens.chat(example.prompt)
    source, target = tokens.encode([prompt, example.target])
    end = tokens.id_of(end_token)
    assert end is not None, "the pinned base names an end token of its own vocabulary"
    learned = _deciding(target, tokens) if example.deciding else target
    return Encoded([*source, *target, end], [IGNORED] * len(source) + [*learned, end])


def _deciding(verdict: list[int], tokens: TokenizerFile) -> list[int]:
    """The token that tells the verdict, IGNORED for the others.

    Those are the same in every example: learning them drowned the one token that decides. The end stays to be learned:
    without it in the short examples, the demo's answers never ended.
    """
    good, bad = tokens.encode([GOOD, BAD])
    place = next(i for i, (a, b) in enumerate(zip(good, bad, strict=False)) if a != b)
    return [token if i == place else IGNORED for i, token in enumerate(verdict)]


def answer_prompt(instruction: str, given: str, lang: str) -> str:
    """The chat model's user turn for a plain request."""
    return render("answer", lang, instruction=instruction, input=given)


def _label(rows: Sequence[dict[str, str]], params: Params, rng: random.Random) -> Iterator[Unit]:
    """Pairs with an input are left out: their instruction cannot be told from the answer alone."""
    for row in rows:
        if not row["input"]:
            yield (Example("label", label_prompt(row["output"], params.label.lang), row["instruction"]),)


def _answer(rows: Sequence[dict[str, str]], params: Params, rng: random.Random) -> Iterator[Unit]:
    for row in rows:
        yield (Example("answer", answer_prompt(row["instruction"], row["input"], params.polish.lang), row["output"]),)


def _judge(rows: Sequence[dict[str, str]], params: Params, rng: random.Random) -> Iterator[Unit]:
    """Each instruction as it is and spoilt, the kinds of spoiling in turn: what differs is the fault alone.

    A judge that writes its verdict has to learn all of it; one whose verdicts are compared, the token that differs.
    """
    kinds, compared = list(CORRUPTIONS.values()), params.judge.mode == "verdict"
    for number, row in enumerate(rows):
        good, spoilt = row["instruction"], kinds[number % len(kinds)](row["instruction"], rng)
        yield tuple(
            Example("judge", judge_prompt(instruction, params.judge), verdict, compared)
            for instruction, verdict in ((good, GOOD), (spoilt, BAD))
        )


def _polish(rows: Sequence[dict[str, str]], params: Params, rng: random.Random) -> Iterator[Unit]:
    """The answer in clutter and its instruction -> the answer."""
    outputs = [row["output"] for row in rows]
    for row in rows:
        if not row["input"]:
            others = [rng.choice(outputs)] if len(outputs) > 1 else []
            text = cluttered(row["output"], [other for other in others if other != row["output"]], rng)
            yield (Example("polish", polish_prompt(text, row["instruction"], params.polish.lang), row["output"]),)


_MAKERS = {"label": _label, "answer": _answer, "judge": _judge, "polish": _polish}
