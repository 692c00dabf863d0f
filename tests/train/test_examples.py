from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kun.backtranslate.judge import BAD, GOOD, judge_prompt
from kun.backtranslate.label import label_prompt
from kun.backtranslate.polish import polish_prompt
from kun.engine.tokens import TokenizerFile
from kun.params import TrainTask
from kun.train.examples import IGNORED, Example, Unit, answer_prompt, build_examples, encode
from tests.made import PARAMS, seed_pairs, seeds
from tests.tiny import CHATML

END = "<|im_end|>"
SEEDS = seeds(seed_pairs(12), heldout=0)
INSTRUCTIONS = set(SEEDS["instruction"])
OUTPUT_OF = dict(SEEDS.select("instruction", "output").iter_rows())


@pytest.fixture(scope="module")
def tokens(tiny_base: Path) -> TokenizerFile:
    return TokenizerFile(tiny_base, CHATML, "<bos>")


def raw(tokens: TokenizerFile, ids: list[int]) -> str:
    """Decoded with its special tokens."""
    return str(tokens._tokenizer.decode(ids, skip_special_tokens=False))


def built(tasks: dict[str, int], share: float = 1.0) -> list[Example]:
    return flat(build_examples(SEEDS, TrainTask(1, tasks), PARAMS, share))


def flat(units: list[Unit]) -> list[Example]:
    return [example for unit in units for example in unit]


def test_acceptance_9_labels_are_the_instruction_and_the_end_token(tokens: TokenizerFile) -> None:
    examples = built({"label": 0})
    assert {example.target for example in examples} == INSTRUCTIONS
    for example in examples:
        encoded = encode(example, tokens, END)
        source = tokens.chat(example.prompt)
        n_source = tokens.count([source])[0]
        assert len(encoded.input_ids) == len(encoded.labels)
        assert encoded.labels[:n_source] == [IGNORED] * n_source, "no source token has a label"
        assert raw(tokens, encoded.labels[n_source:]) == example.target + END
        assert encoded.labels[n_source:] == encoded.input_ids[n_source:]
        assert raw(tokens, encoded.input_ids) == source + example.target + END
        assert OUTPUT_OF[example.target] in source, "the answer is the source"
        assert example.target not in source, "nothing to copy from"


def test_a_prompt_in_its_template_gets_no_other_around_it(tokens: TokenizerFile) -> None:
    encoded = encode(Example("answer", "<bos>问：河\n\n答：", "水", templated=True), tokens, END)
    assert raw(tokens, encoded.input_ids) == f"<bos>问：河\n\n答：水{END}"
    assert raw(tokens, [label for label in encoded.labels if label != IGNORED]) == f"水{END}"


def test_of_a_verdict_only_the_token_that_decides_and_the_end_have_labels(tokens: TokenizerFile) -> None:
    """【 and 】 are the same in every example; the model sees them, and learns 好 or 差."""
    for example in built({"judge": 0}):
        encoded = encode(example, tokens, END)
        assert encoded.input_ids == tokens.encode([tokens.chat(example.prompt) + example.target + END])[0]
        verdict = {GOOD: "好", BAD: "差"}[example.target]
        told = [raw(tokens, [label]) if label != IGNORED else "" for label in encoded.labels[-4:]]
        assert told == ["", verdict, "", END]
        assert set(encoded.labels[:-4]) == {IGNORED}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text("河水流 \n。!a", max_size=30), target=st.text("春风 \n？b", max_size=30))
def test_whatever_the_texts_labels_cover_target_and_end_alone(tokens: TokenizerFile, text: str, target: str) -> None:
    encoded = encode(Example("label", text, target), tokens, END)
    learned = [label for label in encoded.labels if label != IGNORED]
    assert raw(tokens, learned) == target + END
    assert raw(tokens, encoded.input_ids[: -len(learned)]) == tokens.chat(text)


def test_training_prompts_are_those_of_use(tokens: TokenizerFile) -> None:
    """Same function, same settings: judge.rubric and the languages move training and use together."""
    for example in built({"label": 0}):
        assert example.prompt == label_prompt(OUTPUT_OF[example.target], PARAMS.label.lang)
    for example in built({"answer": 0}):
        (instruction,) = (i for i, output in OUTPUT_OF.items() if output == example.target)
        assert example.prompt == answer_prompt(instruction, "", PARAMS.polish.lang) == instruction
    for rubric in ("short", "full"):
        judge = replace(PARAMS.judge, rubric=rubric)
        examples = flat(build_examples(SEEDS, TrainTask(1, {"judge": 0}), replace(PARAMS, judge=judge)))
        good = [example for example in examples if example.target == GOOD]
        assert {example.prompt for example in good} <= {judge_prompt(text, judge) for text in INSTRUCTIONS}
        bad = [example for example in examples if example.target == BAD]
        assert not {example.prompt for example in bad} & {judge_prompt(text, judge) for text in INSTRUCTIONS}
        assert len(good) == len(bad) == len(SEEDS), "each instruction, as it is and spoilt"
    for example in built({"polish": 0}):
        (instruction,) = (i for i, output in OUTPUT_OF.items() if output == example.target)
        head, tail = polish_prompt("\0", instruction, PARAMS.polish.lang).split("\0")
        assert example.prompt.startswith(head) and example.prompt.endswith(tail)
        assert example.target in example.prompt, "the clean text lies in the clutter"


def test_an_input_belongs_to_the_answer_task_alone() -> None:
    """The instruction "translate this" cannot be told from the translation."""
    given_ = SEEDS.with_columns(input=SEEDS["id"].str.slice(0, 4))
    for task in ("label", "polish"):
        assert build_examples(given_, TrainTask(1, {task: 0}), PARAMS) == []
    examples = flat(build_examples(given_, TrainTask(1, {"answer": 0}), PARAMS))
    assert {example.prompt.split("\n")[1] for example in examples} == set(given_["input"])


@pytest.mark.parametrize(
    ("wanted", "share", "made"), [(0, 1.0, 12), (5, 1.0, 5), (99, 1.0, 12), (5, 0.5, 3), (0, 0.5, 12), (1, 0.01, 1)]
)
def test_how_many_examples(wanted: int, share: float, made: int) -> None:
    assert len(built({"answer": wanted}, share)) == made


def test_the_mixture_is_seeded_and_shuffled() -> None:
    tasks = {"answer": 4, "judge": 6, "polish": 2}
    examples = built(tasks)
    assert built(tasks) == examples
    names = [example.task for example in examples]
    assert {name: names.count(name) for name in tasks} == tasks
    assert names != sorted(names)
    other = replace(PARAMS, train=replace(PARAMS.train, seed=8))
    assert flat(build_examples(SEEDS, TrainTask(1, tasks), other)) != examples


def test_an_instruction_and_its_spoilt_form_are_one_unit() -> None:
    units = build_examples(SEEDS, TrainTask(1, {"judge": 0, "answer": 3}), PARAMS)
    pairs = [unit for unit in units if len(unit) == 2]
    assert (len(pairs), len(units)) == (len(SEEDS), len(SEEDS) + 3)
    for good, bad in pairs:
        assert (good.task, good.target, bad.target) == ("judge", GOOD, BAD)
    odd = build_examples(SEEDS, TrainTask(1, {"judge": 5}), PARAMS)
    assert [len(unit) for unit in odd] == [2, 2, 2], "a pair is not parted to keep a number"


@pytest.mark.parametrize(
    ("mode", "learned"), [("verdict", 2), ("sampled", len(GOOD) + 1), ("pair_score", len(GOOD) + 1)]
)
def test_a_judge_that_writes_learns_its_whole_verdict(tokens: TokenizerFile, mode: Any, learned: int) -> None:
    """The tiny tokenizer has one token for each character; the end counts too."""
    params = replace(PARAMS, judge=replace(PARAMS.judge, mode=mode))
    for example in flat(build_examples(SEEDS, TrainTask(1, {"judge": 4}), params)):
        assert sum(label != IGNORED for label in encode(example, tokens, END).labels) == learned
