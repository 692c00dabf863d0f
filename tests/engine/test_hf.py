import math
import random
import shutil
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GPT2Config,
    GPTNeoConfig,
    GraniteConfig,
    Lfm2Config,
    MistralConfig,
    MptConfig,
    PhiConfig,
    Qwen2Config,
)

from kun.backtranslate.judge import BAD, GOOD, judge_prompt
from kun.engine.base import Sampling
from kun.engine.hf import HFModel
from kun.engine.loading import load_model, minds_gaps
from kun.engine.prefixes import telling_prefixes
from kun.errors import ModelError
from tests.engine.conftest import END, WINDOW, tokens_of
from tests.made import PARAMS, changed

MESSAGES = [
    "为什么天是蓝的？",
    "请介绍水稻的生长过程，说明需要什么条件，并且比较南方和北方的不同。",
    "写一首诗。",
    "什么是杠杆原理？用跷跷板来说明。",
    "开车长途出行前要检查哪些地方？请列出清单。",
]
JUDGE = changed(PARAMS.judge, rubric="full")
LIMIT = 20
WARM = Sampling(24, temperature=1.0, top_p=0.9, repetition_penalty=1.1, seed=3)


def naive_log_probability(model: HFModel, head: list[int], tail: list[int]) -> float:
    """The definition: one row, no padding, no cache, the full logits of the model's own forward."""
    with torch.inference_mode():
        logits = model.model(input_ids=torch.tensor([head + tail])).logits[0].double()
    by_place = logits.log_softmax(1)
    return sum(float(by_place[len(head) + i - 1, token]) for i, token in enumerate(tail))


def rendered(model: HFModel) -> list[str]:
    return [model.chat(message) for message in MESSAGES]


def judged(model: HFModel) -> list[str]:
    return [model.chat(judge_prompt(message, JUDGE)) for message in MESSAGES]


def test_choices_equal_a_naive_forward(model: HFModel) -> None:
    prompts = judged(model)
    assert min(model.count(prompts)) > 4 * WINDOW, "the shared rubric must outgrow the sliding window"
    options = [GOOD, BAD, "评分：5"]
    heads, tails = model.tokens.encode(prompts), telling_prefixes(model.tokens.encode(options))
    naive = [[naive_log_probability(model, head, tail) for tail in tails] for head in heads]
    for row, expected in zip(model.choices(prompts, options), naive, strict=True):
        assert row == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "messages",
    [["河"], ["河水", "河水流", "河水流过"], ["a", "河"], ["河", "河"]],
    ids=["alone", "prefixes", "nothing in common", "equal"],
)
def test_choices_whatever_the_prompts_share(llama: HFModel, messages: list[str]) -> None:
    """Raw texts, so that nothing but their own beginning is shared."""
    tails = telling_prefixes(llama.tokens.encode([GOOD, BAD]))
    assert [len(tail) for tail in tails] == [2, 2], "the bracket that closes a verdict is no part of it"
    naive = [[naive_log_probability(llama, head, tail) for tail in tails] for head in llama.tokens.encode(messages)]
    for row, expected in zip(llama.choices(messages, [GOOD, BAD]), naive, strict=True):
        assert row == pytest.approx(expected, abs=1e-4)


def p_good(model: HFModel, prompts: list[str]) -> list[float]:
    return [1 / (1 + math.exp(bad - good)) for good, bad in model.choices(prompts, [GOOD, BAD])]


def test_acceptance_3_p_good_is_the_same_alone_padded_and_reordered(model: HFModel) -> None:
    prompts = judged(model)
    assert len(set(model.count(prompts))) > 1, "without padding this would show nothing"
    batch = p_good(model, prompts)
    assert len({round(p, 5) for p in batch}) > 1
    assert [p_good(model, [prompt])[0] for prompt in prompts] == pytest.approx(batch, abs=1e-4)
    order = random.Random(0).sample(range(len(prompts)), len(prompts))
    assert p_good(model, [prompts[i] for i in order]) == pytest.approx([batch[i] for i in order], abs=1e-4)
    twice = p_good(model, prompts + prompts)
    assert twice[: len(prompts)] == pytest.approx(twice[len(prompts) :], abs=1e-6)


def test_losses_equal_a_naive_forward(model: HFModel) -> None:
    """An empty context is the beginning of a document: every token counts, the first one behind the beginning token."""
    pairs = [("", MESSAGES[1]), (model.chat(MESSAGES[0]), MESSAGES[3]), ("河水", "流"), ("", "河"), ("河", "")]
    losses = model.losses(pairs)
    for (context, text), loss in zip(pairs, losses, strict=True):
        head, tail = model.tokens.encode([context or "<bos>", text])
        assert loss.n_tokens == len(tail)
        assert loss.total == pytest.approx(-naive_log_probability(model, head, tail), abs=1e-3)
    alone = [model.losses([pair])[0].total for pair in pairs]
    assert alone == pytest.approx([loss.total for loss in losses], abs=1e-3)


def test_span_losses_count_the_leading_tokens_alone(model: HFModel) -> None:
    """Behind an empty context the first token is the context."""
    prompt = model.chat(MESSAGES[0])
    spans = [(prompt, MESSAGES[1], 7), (prompt, MESSAGES[1], 100), ("<bos>", MESSAGES[1], 7), ("", MESSAGES[1], 7)]
    whole = len(model.tokens.encode([MESSAGES[1]])[0])
    counts = [7, whole, 7, 6]
    for (context, text, n), counted, loss in zip(spans, counts, model.span_losses(spans), strict=True):
        head, tail = model.tokens.encode([context, text])
        ids = [*head, *tail[:n]]
        split = len(head) or 1
        assert loss.n_tokens == counted
        assert loss.total == pytest.approx(-naive_log_probability(model, ids[:split], ids[split:]), abs=1e-3)


def test_a_kept_rubric_is_used_again_and_changes_nothing(llama: HFModel) -> None:
    """Every later batch finds the prefix of the first; another prefix takes its place."""
    prompts = judged(llama)
    first = llama.choices(prompts, [GOOD, BAD])
    kept = llama._prefix
    assert llama.choices(prompts, [GOOD, BAD]) == first
    assert llama._prefix is kept, "computed once"
    llama.choices(["河水流过", "河水上涨"], [GOOD, BAD])
    assert llama._prefix is not kept
    assert llama.choices(prompts, [GOOD, BAD]) == first


def test_embeddings_are_the_mean_of_the_states_of_the_text_alone(model: HFModel) -> None:
    """One row, no padding, the states of the model's own forward, and nothing of the beginning token."""
    with torch.inference_mode():
        for message, vector in zip(MESSAGES, model.embeddings(MESSAGES), strict=True):
            ids = torch.tensor([[model.model.config.bos_token_id, *model.tokens.encode([message])[0]]])
            states = model.model.base_model(input_ids=ids).last_hidden_state[0, 1:]
            assert vector == pytest.approx(states.mean(0).tolist(), rel=1e-4, abs=1e-5)


def test_without_a_beginning_token_the_first_token_has_no_loss(tiny_base: Path) -> None:
    model = HFModel(tiny_base, tokens_of(tiny_base), END, dtype="float32")
    model.model.config.bos_token_id = None
    head, *tail = model.tokens.encode([MESSAGES[1]])[0]
    long, short = model.losses([("", MESSAGES[1]), ("", "河")])
    assert long.n_tokens == len(tail)
    assert long.total == pytest.approx(-naive_log_probability(model, [head], tail), abs=1e-3)
    assert (short.n_tokens, short.total) == (0, 0.0)


def test_greedy_text_equals_that_of_transformers(model: HFModel) -> None:
    prompts = rendered(model)
    with torch.inference_mode():
        for prompt, completion in zip(prompts, model.generate(prompts, Sampling(LIMIT)), strict=True):
            ids = torch.tensor(model.tokens.encode([prompt]))
            ends = model._ends.tolist()
            # One token more, for a text that ends exactly at the limit is whole.
            told = model.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=LIMIT + 1, eos_token_id=ends
            )[0, ids.shape[1] :].tolist()
            stopped = told[-1] in ends
            new = told[:-1]
            assert completion.n_new == len(new)
            assert completion.text == model.tokens.decode(new).strip()
            assert completion.finish == ("stop" if stopped else "length")


def test_both_ways_to_finish_were_seen(llama: HFModel) -> None:
    """The comparison with transformers must include rows that leave the batch and rows that are cut."""
    assert {done.finish for done in llama.generate(rendered(llama), Sampling(LIMIT))} == {"stop", "length"}


def test_a_text_that_ends_at_the_limit_is_whole_and_one_token_less_is_cut(llama: HFModel) -> None:
    prompt = rendered(llama)[0]
    (free,) = llama.generate([prompt], WARM)
    assert free.finish == "stop" and free.n_new > 1
    limits = {n: llama.generate([prompt], Sampling(n, 1.0, 0.9, 1.1, 3))[0] for n in (free.n_new, free.n_new - 1)}
    assert limits[free.n_new] == free
    cut = limits[free.n_new - 1]
    assert (cut.finish, cut.n_new) == ("length", free.n_new - 1)
    assert free.text.startswith(cut.text)


def test_nothing_but_an_end_is_empty(tiny_base: Path) -> None:
    model = HFModel(tiny_base, tokens_of(tiny_base), END, dtype="float32")
    model._ends = torch.arange(len(model._head))
    (done,) = model.generate([model.chat("河")], Sampling(5))
    assert (done.text, done.finish, done.n_new) == ("", "empty", 0)


def test_sampled_text_depends_on_its_prompt_and_the_seed_alone(model: HFModel) -> None:
    prompts = rendered(model)
    texts = [done.text for done in model.generate(prompts, WARM)]
    assert len(set(texts)) == len(texts)
    assert [model.generate([prompt], WARM)[0].text for prompt in prompts] == texts, "of no other row"
    assert [done.text for done in model.generate(prompts[::-1], WARM)][::-1] == texts, "of no order"
    assert [done.text for done in model.generate([prompts[0], *prompts], WARM)][1:] == texts
    again = Sampling(24, 1.0, 0.9, 1.1, seed=4)
    others = [done.text for done in model.generate(prompts, again)]
    assert others != texts
    mixed = model.generate([prompts[0], prompts[0], prompts[1]], WARM, seeds=[4, 3, 4])
    assert [done.text for done in mixed] == [others[0], texts[0], others[1]], (
        "rows of one batch have seeds of their own"
    )


@pytest.mark.parametrize("sampling", [Sampling(24), WARM], ids=["greedy", "warm"])
def test_what_rows_begin_with_in_common_is_computed_once(model: HFModel, sampling: Sampling) -> None:
    """Where the model does not mind the padding between a beginning and its rest: it would push the beginning out of a window."""
    syllabi = ["水稻的生长要经过几个时期，" * 12, "星星在夜里发光的原因，" * 15]
    prompts = [
        model.chat(syllabus + ask) for syllabus in syllabi for ask in ("请说明。", "为什么？", "请列举三个方法。")
    ]
    prompts.append(model.chat("请介绍水稻。" * 10))
    alone = [model.generate([prompt], sampling)[0] for prompt in prompts]
    minds = model._minds_gaps  # before tokens are counted: it asks the model
    shapes: list[tuple[int, ...]] = []
    hook = model._body.register_forward_pre_hook(
        lambda body, args, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    try:
        assert model.generate(prompts, sampling) == alone
    finally:
        hook.remove()
    longest = max(model.count(prompts))
    begun = [shapes[0][0], shapes[1][0]]
    assert begun == ([7, 7] if minds else [3, 7])
    assert (shapes[0][0] * shapes[0][1] + shapes[1][0] * shapes[1][1] < 7 * longest) != minds


def test_the_nucleus_closes_on_the_likeliest_token(llama: HFModel) -> None:
    """top_p 0 leaves one token, and that is the greedy one, not the last of the vocabulary."""
    prompts = rendered(llama)
    greedy = llama.generate(prompts, Sampling(12))
    for top_p in (0.0, 1e-6):
        assert llama.generate(prompts, Sampling(12, temperature=1.0, top_p=top_p)) == greedy


def test_only_tokens_of_the_nucleus_are_drawn(llama: HFModel) -> None:
    prompt = llama.chat(MESSAGES[1])
    ids = llama.tokens.encode([prompt])
    with torch.inference_mode():
        chances, order = llama.model(input_ids=torch.tensor(ids)).logits[0, -1].softmax(0).sort(descending=True)
    size = int((chances.cumsum(0) < 0.5).sum()) + 1  # the token that crosses 0.5 belongs to it
    nucleus = {llama.tokens.decode([token]) for token in order[:size].tolist()}
    assert 1 < len(nucleus) < 50
    drawn = {llama.generate([prompt], Sampling(1, 1.0, 0.5, seed=seed))[0].text for seed in range(60)}
    assert drawn <= nucleus | {""}, "white space strips to nothing"
    assert len(drawn) > 1


def test_the_penalty_falls_on_written_tokens_and_not_on_the_prompt(llama: HFModel) -> None:
    """Step by step by the definition: divide positive logits of tokens written so far, multiply negative ones."""
    prompt = llama.chat(MESSAGES[0])
    head, written = llama.tokens.encode([prompt])[0], []
    with torch.inference_mode():
        for _ in range(16):
            logits = llama.model(input_ids=torch.tensor([head + written])).logits[0, -1]
            for token in set(written):
                logits[token] = logits[token] / 1.5 if logits[token] > 0 else logits[token] * 1.5
            token = int(logits.argmax())
            if token in llama._ends.tolist():
                break
            written.append(token)
    (done,) = llama.generate([prompt], Sampling(16, repetition_penalty=1.5))
    assert done.text == llama.tokens.decode(written).strip()
    assert done.text != llama.generate([prompt], Sampling(16))[0].text, "without effect the test would show nothing"


def test_end_tokens_are_those_of_model_config_and_template(llama: HFModel) -> None:
    assert llama._ends.tolist() == sorted({2, llama.tokens.id_of(END)})


@pytest.mark.parametrize("damage", ["no weights", "torn weights", "no config", "nothing"])
def test_a_broken_model_is_one_line(tiny_base: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    if damage == "no weights":
        (folder / "model.safetensors").unlink()
    elif damage == "torn weights":
        whole = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    elif damage == "no config":
        (folder / "config.json").unlink()
    else:
        shutil.rmtree(folder)
    with pytest.raises(ModelError, match="cannot load the model in") as caught:
        load_model(folder, torch.float32)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["no weights", "torn weights", "nothing"])
def test_a_broken_adapter_is_one_line(tiny_base: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "label"
    if damage != "nothing":
        from peft import LoraConfig, get_peft_model

        model = AutoModelForCausalLM.from_pretrained(tiny_base)
        get_peft_model(model, LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM")).save_pretrained(folder)
        weights = folder / "adapter_model.safetensors"
        if damage == "no weights":
            weights.unlink()
        else:
            weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match="cannot load the model in") as caught:
        load_model(tiny_base, torch.float32, folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


SMALL = {"vocab_size": 200, "hidden_size": 32, "num_attention_heads": 2}
MINDING = {
    "window": (
        MistralConfig(**SMALL, intermediate_size=32, num_hidden_layers=2, num_key_value_heads=1, sliding_window=8),
        True,
    ),
    "local": (
        GPTNeoConfig(
            vocab_size=200, hidden_size=32, num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]]
        ),
        True,
    ),
    "slopes": (MptConfig(vocab_size=200, d_model=32, n_heads=2, n_layers=2, max_seq_len=64), True),
    "learned": (GPT2Config(vocab_size=200, n_embd=32, n_head=2, n_layer=2, n_positions=64), False),
    "slopes of the mask": (BloomConfig(vocab_size=200, hidden_size=32, n_head=2, n_layer=2), False),
    "no window": (Qwen2Config(**SMALL, intermediate_size=32, num_hidden_layers=2, num_key_value_heads=1), False),
}


@pytest.mark.parametrize("kind", MINDING)
def test_models_that_mind_a_gap_are_known(kind: str) -> None:
    """Their rows stay whole; configurations call windows many names, and slopes none."""
    config, minds = MINDING[kind]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager" if kind == "slopes" else None).eval()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    assert minds_gaps(model) == minds


@pytest.mark.parametrize("kind", ["scaled", "shifted"])
def test_a_model_that_does_more_than_apply_its_head_is_refused(tiny_base: Path, tmp_path: Path, kind: str) -> None:
    """Granite divides its logits, Phi adds a bias: their scores would be wrong without a word."""
    shape = {
        "vocab_size": 2000,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
    }
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        GraniteConfig(**shape, logits_scaling=4.0) if kind == "scaled" else PhiConfig(**shape)
    )
    if kind == "shifted":
        torch.nn.init.normal_(model.lm_head.bias)
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=f"models of type {model.config.model_type} scale or shift their logits"):
        HFModel(tmp_path, tokens_of(tiny_base), END, dtype="float32")


def test_a_model_whose_layers_keep_another_state_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    """It would load, learn and score, and fail at its first text."""
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
    config = Lfm2Config(vocab_size=2000, num_hidden_layers=2, layer_types=["conv", "full_attention"], **shape)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="models of type lfm2 have layers of kind conv, whose state"):
        HFModel(tmp_path, tokens_of(tiny_base), END, dtype="float32")


PLACES = 24


@pytest.fixture(scope="module")
def short(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    """A GPT-2 that has learned 24 positions."""
    folder = tmp_path_factory.mktemp("short")
    torch.manual_seed(0)
    ids = {"bos_token_id": 1, "eos_token_id": 2}
    AutoModelForCausalLM.from_config(
        GPT2Config(vocab_size=2000, n_positions=PLACES, n_embd=16, n_layer=1, n_head=2, **ids)
    ).save_pretrained(folder)
    return HFModel(folder, tokens_of(tiny_base), END, dtype="float32")


def test_a_row_longer_than_the_learned_positions_is_told(short: HFModel) -> None:
    """torch alone says "index out of range in self", and on a GPU ends the process."""
    (size,) = short.count(["河水"])
    assert short.losses([("", "河水" * 4)])[0].n_tokens == 4 * size
    assert short.generate(["河水"], Sampling(PLACES - size))
    for ask in (
        lambda: short.losses([("", "河水" * 30)]),
        lambda: short.choices(["河水" * 30], [GOOD, BAD]),
        lambda: short.generate(["河水"], Sampling(PLACES - size + 1)),
    ):
        with pytest.raises(ModelError, match=f"this model has {PLACES} positions; lower engine.context"):
            ask()


def test_an_embedding_counts_as_much_of_a_text_as_the_model_has_places_for(short: HFModel) -> None:
    places = PLACES - 1  # the first is that of the document's beginning
    (size,) = short.count(["河"])
    assert size == 1
    long, fitting = short.embeddings(["河" * 60, "河" * places])
    assert long == pytest.approx(fitting)


def test_rotary_positions_have_no_end(llama: HFModel) -> None:
    limit = llama.model.config.max_position_embeddings
    assert llama.losses([("", "河" * (limit + 10))])[0].n_tokens > limit
