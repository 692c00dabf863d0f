"""The losses against a naive forward of one row, in every mode, for models of three kinds."""

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM

from kun.engine.base import Span, TokenLoss
from kun.errors import ConfigError, ModelError, OutOfMemory
from kun.models import load_tokens, read_base
from kun.params import Losses
from kun.project import Project
from kun.schemas.select import LOSSES
from kun.select.losses import losses, pair_losses, scorer
from kun.select.scores import with_scores
from kun.tables.shards import read_dataset
from kun.work.stage import ModelStage
from tests.made import FAKE, HF, PARAMS, assert_conserved, changed, pinned, reasons, store
from tests.select.conftest import WORDS, pair_table, real_pairs, swapped
from tests.tiny import PARROT_TIMES

KINDS = ("llama", "gpt2", "gemma")
CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
HEADER = "<|im_start|>assistant\n"
ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{}\n\n### Response:"
)


def settings(**values: Any) -> Losses:
    return changed(PARAMS.losses, **values)


def scored(root: Path, base: Path, pairs: pl.DataFrame, params: Losses = PARAMS.losses, **engine: Any) -> pl.DataFrame:
    """Losses and scores under the model in `base`, computed anew in a project of its own."""
    found = pair_losses(scorer(pinned(root, base), params, changed(HF, **engine)), pairs, params)
    assert found is not None
    assert found.schema == pl.Schema(LOSSES)
    assert found["id"].to_list() == pairs["id"].to_list()
    return with_scores(found)


class Naive:
    """One row at a time, no padding, the full logits of the model's own forward."""

    def __init__(self, base: Path, root: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
        self.tokens = load_tokens(pinned(root, base))

    def ids(self, text: str) -> list[int]:
        return self.tokens.encode([text])[0]

    @torch.inference_mode()
    def token_losses(self, ids: Sequence[int]) -> list[float]:
        """Of all tokens but the first."""
        logits = self.model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(1)
        return [-float(logits[place, token]) for place, token in enumerate(ids[1:])]

    def mean(self, context: list[int], target: list[int]) -> float:
        return sum(self.token_losses([*context, *target])[len(context) - 1 :]) / len(target)


def question(row: dict[str, str]) -> str:
    return row["instruction"] + ("\n" + row["input"] if row["input"] else "")


# The numbers


@pytest.mark.parametrize("kind", KINDS)
def test_acceptance_1_batches_give_what_a_naive_forward_gives(
    kind: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    """Both losses and both forms of IFD within 1e-4, whatever the size and order of batches."""
    pairs, naive = real_pairs(12), Naive(bases[kind], tmp_path / "naive")
    expected = {}
    for row in pairs.iter_rows(named=True):
        target = naive.ids(row["output"])
        cond = naive.mean(naive.ids(CHAT.format(question(row))), target)
        direct = naive.mean(naive.ids(HEADER), target)
        expected[row["id"]] = [len(target), cond, direct, cond / direct, math.exp(cond) / math.exp(direct)]
    for max_rows in (1, 3, 8, 32):
        mixed = pairs.sample(fraction=1.0, shuffle=True, seed=max_rows)
        found = scored(tmp_path / str(max_rows), bases[kind], mixed, max_rows=max_rows)
        for row in found.iter_rows(named=True):
            values = [row[name] for name in ("n_answer", "s_cond", "s_direct", "ifd_loss", "ifd_ppl")]
            assert values == pytest.approx(expected[row["id"]], rel=1e-4)
            assert (row["reason"], row["truncated"]) == ("ok", False)


@pytest.mark.parametrize("kind", KINDS)
def test_acceptance_2_the_chain_identity_holds(kind: str, bases: dict[str, Path], tmp_path: Path) -> None:
    """s(A|Q) * N = NLL(prompt + A) - NLL(prompt)."""
    pairs, naive = real_pairs(6), Naive(bases[kind], tmp_path / "naive")
    for row, asked in zip(
        scored(tmp_path / "run", bases[kind], pairs).iter_rows(named=True), pairs.iter_rows(named=True), strict=True
    ):
        prompt = naive.ids(CHAT.format(question(asked)))
        whole = sum(naive.token_losses([*prompt, *naive.ids(asked["output"])]))
        assert row["s_cond"] * row["n_answer"] == pytest.approx(whole - sum(naive.token_losses(prompt)), rel=1e-4)


@pytest.mark.parametrize("direct_context", ["header", "bos", "none"])
def test_acceptance_3_constant_logits_cost_the_logarithm_of_the_vocabulary(
    direct_context: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    params = settings(direct_context=direct_context, reversed=True)
    found = scored(tmp_path, bases["constant"], real_pairs(6), params)
    vocabulary = AutoModelForCausalLM.from_pretrained(bases["constant"]).config.vocab_size
    for name in ("s_cond", "s_direct", "s_rcond", "s_rdirect"):
        assert found[name].to_list() == pytest.approx([math.log(vocabulary)] * 6, abs=1e-5)
    for name in ("ifd_loss", "ifd_ppl", "rifd_loss", "rifd_ppl"):
        assert found[name].to_list() == pytest.approx([1.0] * 6, abs=1e-6)
    assert found["ira"].to_list() == pytest.approx([0.0] * 6, abs=1e-6)


def test_known_probabilities_give_the_score_computed_by_hand(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four tokens of probability 1/2 behind the prompt, and 1/8 without: losses ln 2 and 3 ln 2."""

    def span_losses(self: Any, spans: Sequence[Span]) -> list[TokenLoss]:
        return [TokenLoss(n * math.log(8 if context == HEADER else 2), n) for context, _, n in spans]

    monkeypatch.setattr("kun.engine.fake.FakeModel.span_losses", span_losses)
    params = settings(min_tokens=4)
    found = pair_losses(scorer(project, params, FAKE), pair_table(("问", "", "春夏秋冬")), params)
    assert found is not None
    row = with_scores(found).row(0, named=True)
    wanted = {"s_cond": math.log(2), "s_direct": 3 * math.log(2), "ira": 2 * math.log(2)}
    wanted |= {"ifd_loss": 1 / 3, "ifd_ppl": 1 / 4}
    assert {name: row[name] for name in wanted} == pytest.approx(wanted, abs=1e-6)
    assert (row["n_answer"], row["reason"]) == (4, "ok")
    assert with_scores(found, reduction="sum")["ira"].item() == pytest.approx(8 * math.log(2), abs=1e-5)


def test_an_instruction_and_template_of_nothing_save_nothing(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kun.select.templates import PUBLISHED, Published

    monkeypatch.setitem(PUBLISHED, "bare", Published("{instruction}{input}", "{instruction}", ""))
    pairs = real_pairs(5).with_columns(instruction=pl.lit(""), input=pl.lit(""))
    found = scored(tmp_path, bases["llama"], pairs, settings(template="bare"))
    assert found["ira"].to_list() == pytest.approx([0.0] * 5, abs=1e-5)
    assert found["ifd_ppl"].to_list() == pytest.approx([1.0] * 5, abs=1e-5)


# The same tokens in both passes


def test_acceptance_4_truncation_scores_the_same_answer_tokens_in_both_passes(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    """Prompts of M-3 .. M+3 tokens before an answer of 12."""
    limit, answer = 64, "春夏秋冬东西南北上下左右"
    naive = Naive(bases["llama"], tmp_path / "naive")
    frame = len(naive.ids(CHAT.format("")))
    rows = [("问" * (limit + over - frame), "", answer) for over in range(-3, 4)]
    found = scored(tmp_path / "run", bases["llama"], pair_table(*rows), settings(max_length=limit, min_tokens=1))
    assert found["n_answer"].to_list() == [3, 2, 1, 0, 0, 0, 0]
    assert found["reason"].to_list() == ["ok"] * 3 + ["prompt_too_long"] * 4
    assert found["truncated"].to_list() == [True] * 3 + [False] * 4
    for row, (instruction, _, _) in zip(found.iter_rows(named=True), rows, strict=True):
        kept = naive.ids(answer)[: row["n_answer"]]
        if not kept:
            assert (row["s_cond"], row["s_direct"], row["ifd_loss"], row["ira"]) == (None,) * 4
            continue
        assert row["s_cond"] == pytest.approx(naive.mean(naive.ids(CHAT.format(instruction)), kept), rel=1e-4)
        assert row["s_direct"] == pytest.approx(naive.mean(naive.ids(HEADER), kept), rel=1e-4)


@pytest.mark.parametrize("max_length", [1024, 190])
def test_acceptance_5_header_context_and_loss_ratio_as_in_cherry(
    max_length: int, bases: dict[str, Path], tmp_path: Path
) -> None:
    """Prompt and answer tokenised as one text behind BOS, cut to M; the direct text cut to M - P + h."""
    pairs, naive = real_pairs(10).with_columns(input=pl.lit("")), Naive(bases["llama"], tmp_path / "naive")
    params = settings(template="alpaca", max_length=max_length, min_tokens=1)
    found = scored(tmp_path / "run", bases["llama"], pairs, params)
    for row, asked in zip(found.iter_rows(named=True), pairs.iter_rows(named=True), strict=True):
        prompt = "<bos>" + ALPACA.format(asked["instruction"])
        start = len(naive.ids(prompt))
        whole = naive.ids(prompt + asked["output"])[:max_length]
        header = len(naive.ids("<bos>### Response:"))
        direct = naive.ids("<bos>### Response:" + asked["output"])[: max_length - start + header]
        if len(whole) <= start:
            assert (row["reason"], row["ifd_loss"]) == ("prompt_too_long", None)
            continue
        conditioned = naive.token_losses(whole)[start - 1 :]
        alone = naive.token_losses(direct)[header - 1 :]
        assert row["n_answer"] == len(conditioned) == len(alone)
        ratio = (sum(conditioned) / len(conditioned)) / (sum(alone) / len(alone))
        assert row["ifd_loss"] == pytest.approx(ratio, rel=1e-4)
    assert found["truncated"].any() == (max_length == 190)


def test_acceptance_5_no_context_and_perplexity_ratio_as_in_superfiltering(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    """The model's own loss over labels, no BOS; the direct pass cannot score the first token: N - 1 of N."""
    pairs, naive = real_pairs(10), Naive(bases["gpt2"], tmp_path / "naive")
    params = settings(template="bare", direct_context="none")
    found = scored(tmp_path / "run", bases["gpt2"], pairs, params)
    for row, asked in zip(found.iter_rows(named=True), pairs.iter_rows(named=True), strict=True):
        prompt = naive.ids(question(asked) + "\n")
        ids = torch.tensor([[*prompt, *naive.ids(asked["output"])]])
        labels = ids.clone()
        labels[0, : len(prompt)] = -100
        alone = ids[:, len(prompt) :]
        with torch.inference_mode():
            conditioned = naive.model(input_ids=ids, labels=labels).loss
            direct = naive.model(input_ids=alone, labels=alone).loss
        assert row["ifd_ppl"] == pytest.approx(float(conditioned.exp() / direct.exp()), rel=1e-4)
        assert row["n_answer"] == alone.shape[1]


@pytest.mark.parametrize("template", ["chat", "alpaca", "wizardlm", "vicuna", "bare"])
def test_the_answer_is_scored_behind_each_template(template: str, bases: dict[str, Path], tmp_path: Path) -> None:
    from kun.select.templates import template_of

    pairs, naive = real_pairs(4), Naive(bases["llama"], tmp_path / "naive")
    params = settings(template=template, direct_context="bos")
    prompts = template_of(params, naive.tokens)
    found = scored(tmp_path / "run", bases["llama"], pairs, params)
    assert found["template"].unique().to_list() == [prompts.label]
    for row, asked in zip(found.iter_rows(named=True), pairs.iter_rows(named=True), strict=True):
        prompt = prompts.prompt(asked["instruction"], asked["input"])
        assert asked["instruction"] in prompt and asked["input"] in prompt
        assert row["s_cond"] == pytest.approx(naive.mean(naive.ids(prompt), naive.ids(asked["output"])), rel=1e-4)
        assert row["s_direct"] == pytest.approx(naive.mean(naive.ids("<bos>"), naive.ids(asked["output"])), rel=1e-4)


# Odd rows


ODD = {
    "empty": ("写一首诗。", "", ""),
    "white": ("写一首诗。", "", " \n\t"),
    "long prompt": ("写" * 300, "", "好的，这就写。"),
    "one token": ("写一个字。", "", "好"),
    "end": ("什么是结束符？", "", "就是<eos>，也有<pad>，都是记号。"),
    "echo": ("写一首诗。", "", "写一首诗。<|im_start|>assistant\n写一首诗。"),
    "english": ("Write a poem.", "", "Roses are red, violets are blue."),
    "emoji": ("写一首诗。", "", "🌸春天来了🌸，🎉大家🎉笑了。"),
}


@pytest.mark.parametrize("direct_context", ["header", "bos", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_acceptance_6_odd_rows_have_a_reason_or_a_score(
    kind: str, direct_context: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    params = settings(direct_context=direct_context, max_length=256, reversed=True)
    found = scored(tmp_path, bases[kind], pair_table(*ODD.values()), params)
    rows = dict(zip(ODD, found.iter_rows(named=True), strict=True))
    assert {name: row["reason"] for name, row in rows.items()} == {
        **dict.fromkeys(ODD, "ok"),
        "empty": "empty_answer",
        "white": "empty_answer",
        "long prompt": "prompt_too_long",
        "one token": "few_tokens",
    }
    for name in ("empty", "white", "long prompt"):
        assert rows[name]["n_answer"] == 0
        assert [rows[name][score] for score in ("s_cond", "s_direct", "ifd_loss", "ifd_ppl", "ira")] == [None] * 5
    for name in ("end", "echo", "english", "emoji"):
        assert all(rows[name][score] > 0 for score in ("s_cond", "s_direct", "ifd_loss", "ifd_ppl", "rifd_ppl"))
    one = rows["one token"]
    assert one["n_answer"] == 1 and one["s_cond"] > 0
    assert (one["s_direct"] is None) == (direct_context == "none"), "nothing predicts the only token"
    assert found["reason_reversed"].unique().to_list() == ["ok"]
    assert rows["long prompt"]["truncated"] and 200 < rows["long prompt"]["n_instruction"] < 256


def test_acceptance_7_a_changed_row_changes_its_own_scores_alone(project: Project) -> None:
    pairs = real_pairs(9)
    params = settings(reversed=True)
    before = pair_losses(scorer(project, params, HF), pairs, params)
    texts = pairs["output"].to_list()
    texts[4] = "完全不同的一段回答，只有这一行变了。"
    computed: list[Span] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kun.engine.hf.HFModel.span_losses", recording(computed))
        after = pair_losses(scorer(project, params, HF), pairs.with_columns(output=pl.Series(texts)), params)
    assert before is not None and after is not None
    same = [row for row in range(9) if before.row(row) == after.row(row)]
    assert same == [0, 1, 2, 3, 5, 6, 7, 8]
    assert {text for _, text, _ in computed} == {texts[4], question(pairs.row(4, named=True))}
    assert len(computed) == 3, "the direct pass of the instruction has not changed"


def recording(spans: list[Span]) -> Any:
    from kun.engine.hf import HFModel

    own = HFModel.span_losses

    def span_losses(self: HFModel, batch: Sequence[Span]) -> list[TokenLoss]:
        spans.extend(batch)
        return own(self, batch)

    return span_losses


# The reversed pass


def test_reversed_losses_are_those_of_the_instruction_behind_its_answer(bases: dict[str, Path], tmp_path: Path) -> None:
    """Exactly the tokens of instruction and input, also when the answer repeats them."""
    from kun.backtranslate.label import label_prompt

    asked = real_pairs(6)
    pairs = pl.concat([asked, pair_table(("写一首关于春天的诗。", "", "写一首关于春天的诗。写一首关于春天的诗。"))])
    naive = Naive(bases["gemma"], tmp_path / "naive")
    found = scored(tmp_path / "run", bases["gemma"], pairs, settings(reversed=True))
    for row, pair in zip(found.iter_rows(named=True), pairs.iter_rows(named=True), strict=True):
        target = naive.ids(question(pair))
        prompt = naive.ids(CHAT.format(label_prompt(pair["output"], "zh").strip()))
        assert row["n_instruction"] == len(target)
        assert row["s_rcond"] == pytest.approx(naive.mean(prompt, target), rel=1e-4)
        assert row["s_rdirect"] == pytest.approx(naive.mean(naive.ids(HEADER), target), rel=1e-4)


def test_a_long_answer_is_cut_where_it_is_shown_and_the_instruction_scored_whole(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    limit, instruction = 128, "请用三句话介绍水稻。"
    pairs = pair_table((instruction, "", "水稻喜温。" * 80), (instruction, "", "水稻喜温。"))
    found = scored(tmp_path, bases["llama"], pairs, settings(reversed=True, max_length=limit))
    assert found["truncated"].to_list() == [True, False]
    assert found["n_instruction"].to_list() == [len(instruction)] * 2
    assert found["s_rcond"].null_count() == 0 and found["reason_reversed"].to_list() == ["ok", "ok"]


def test_without_the_wish_nothing_is_reversed(bases: dict[str, Path], tmp_path: Path) -> None:
    found = scored(tmp_path, bases["llama"], real_pairs(3))
    for name in ("n_instruction", "s_rcond", "s_rdirect", "reason_reversed", "rifd_ppl"):
        assert found[name].null_count() == 3


# What scores say


def parrot_pairs() -> pl.DataFrame:
    return pair_table(*((word, "", word * PARROT_TIMES) for word in WORDS))


def test_swapped_answers_lower_ira_and_raise_ifd(bases: dict[str, Path], tmp_path: Path) -> None:
    """Acceptance 12, and that of IRA, on a model that knows which answer belongs to which instruction."""
    true = scored(tmp_path / "true", bases["parrot"], parrot_pairs())
    false = scored(tmp_path / "false", bases["parrot"], swapped(parrot_pairs()))
    assert true["ira"].mean() > 0 > false["ira"].mean()  # type: ignore[operator]
    assert true["ifd_ppl"].mean() < false["ifd_ppl"].mean()  # type: ignore[operator]
    assert (true["ifd_loss"] > 1).sum() < (false["ifd_loss"] > 1).sum()


def test_the_better_half_by_ira_is_the_clean_half(bases: dict[str, Path], tmp_path: Path) -> None:
    clean, spoilt = parrot_pairs().head(4), swapped(parrot_pairs()).tail(4)
    found = scored(tmp_path, bases["parrot"], pl.concat([clean, spoilt]))
    assert set(found.sort("ira", descending=True)["id"][:4]) == set(clean["id"])


# The stage


def run(project: Project, pairs: pl.DataFrame, params: Losses = PARAMS.losses, engine: Any = HF) -> dict[str, Any]:
    store(project, "mixed", pairs)
    counts = losses(project, params, engine)
    assert counts is not None
    assert_conserved(project, "losses", "losses", pairs["id"].to_list(), counts)
    return counts


def test_every_pair_has_a_row_and_counts_tell_the_unscored(project: Project) -> None:
    pairs = pl.concat([real_pairs(4), pair_table(*ODD.values()).with_columns(id="odd" + pl.col("id"))])
    counts = run(project, pairs, settings(max_length=128))
    assert counts["by_reason"] == {"empty_answer": 2, "few_tokens": 1, "ok": 8, "prompt_too_long": 1}
    assert (counts["kept"], counts["scored"]) == (12, 9)
    stored = read_dataset(project.dataset("losses"))
    assert stored["scorer"].unique().to_list() == [f"base@{read_base(project).fingerprint}"]
    assert counts["truncated"] == stored["truncated"].sum() == 0


def test_limit_takes_the_first_pairs_and_says_so(project: Project) -> None:
    assert run(project, real_pairs(5), settings(limit=2), FAKE)["reasons"] == {"limit": 3}


def test_rows_that_do_not_fit_into_memory_are_failed_rows(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from kun.engine.fake import FakeModel

    own, pairs = FakeModel.span_losses, real_pairs(8)
    heavy = pairs.row(2, named=True)

    def span_losses(self: FakeModel, spans: Sequence[Span]) -> list[TokenLoss]:
        if any(text == heavy["output"] and heavy["instruction"] in context for context, text, _ in spans):
            raise OutOfMemory("no room")
        return own(self, spans)

    monkeypatch.setattr(FakeModel, "span_losses", span_losses)
    counts = run(project, pairs, engine=changed(FAKE, max_failed_share=0.2))
    assert (counts["kept"], counts["failed"]) == (7, 1)
    assert reasons(project, "losses") == {heavy["id"]: "out_of_memory"}
    monkeypatch.undo()
    assert run(project, pairs, engine=FAKE)["failed"] == 0, "failed rows are tried again"


def test_acceptance_9_a_killed_run_goes_on_to_the_same_table(project: Project, tmp_path: Path, tiny_base: Path) -> None:
    pairs, engine = real_pairs(12), changed(HF, max_rows=4)
    calm = pinned(tmp_path / "calm", tiny_base)
    run(calm, pairs, engine=engine)
    spans: list[Span] = []

    def killed(self: Any, batch: Sequence[Span]) -> list[TokenLoss]:
        if len(spans) >= 8:
            raise KeyboardInterrupt
        return own(self, batch)

    own = recording(spans)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kun.engine.hf.HFModel.span_losses", killed)
        with pytest.raises(KeyboardInterrupt):
            run(project, pairs, engine=engine)
        finished = len(spans)
        patch.setattr("kun.engine.hf.HFModel.span_losses", own)
        run(project, pairs, engine=engine)
    assert finished >= 8 and len(spans) == 24 == len(set(spans)), "nothing is computed twice"
    assert read_dataset(project.dataset("losses")).equals(read_dataset(calm.dataset("losses")))
    shuffled = pairs.sample(fraction=1.0, shuffle=True, seed=1).with_columns(output="新" + pl.col("output"))
    run(project, shuffled, engine=engine)
    found = read_dataset(project.dataset("losses"))
    before = read_dataset(calm.dataset("losses"))
    assert found["id"].to_list() == shuffled["id"].to_list()
    assert found.join(before, on=["id", "s_cond"]).is_empty(), "changed texts are not taken for the old ones"


def test_no_scorer_leaves_rows_without_losses(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kun.work.stage.load_engine", None)
    counts = run(project, real_pairs(3), settings(model="none"))
    assert (counts["scored"], counts["by_reason"]) == (0, {"off": 3})
    assert project.work("losses").is_file(), "DVC looks for it whether a model worked or not"


# The scorer


def test_another_model_is_pinned_beside_the_base(project: Project, bases: dict[str, Path]) -> None:
    pairs = real_pairs(5)
    run(project, pairs)
    by_base = read_dataset(project.dataset("losses"))
    run(project, pairs, settings(model=str(bases["gpt2"])))
    by_other = read_dataset(project.dataset("losses"))
    pin = json.loads((project.root / "models/scorer.json").read_text(encoding="utf-8"))
    assert pin["name"] == str(bases["gpt2"])
    assert by_other["scorer"].unique().to_list() == [f"gpt2@{pin['fingerprint']}"]
    assert read_base(project).name != pin["name"], "the base stays what it is"
    assert by_base["s_cond"].equals(by_other["s_cond"]) is False
    run(project, pairs)
    assert read_dataset(project.dataset("losses")).equals(by_base), "and so do its finished rows"


def test_an_unknown_model_is_refused_by_its_parameter(project: Project) -> None:
    with pytest.raises(ModelError, match=r"^losses\.model: 'no-such-model' is no folder"):
        scorer(project, settings(model="no-such-model"), FAKE)


def test_a_trained_adapter_is_a_scorer(project: Project, tiny_base: Path) -> None:
    with pytest.raises(ModelError, match="run `kun train chat`"):
        run(project, real_pairs(2), settings(model="chat"))
    project.adapter("chat").mkdir(parents=True)
    for file in tiny_base.iterdir():
        (project.adapter("chat") / file.name).write_bytes(file.read_bytes())
    run(project, real_pairs(2), settings(model="chat"))
    assert "+chat@" in read_dataset(project.dataset("losses"))["scorer"][0]


def test_a_server_is_refused_with_the_way_out(project: Project) -> None:
    from kun.params import Server

    server: Server = changed(PARAMS.engine.server, url="http://127.0.0.1:9/v1", models="some-model")
    with pytest.raises(ConfigError, match=r"losses\.model to none"):
        run(project, real_pairs(2), engine=changed(PARAMS.engine, backend="openai", server=server))


def test_scores_of_two_templates_are_told_apart(project: Project) -> None:
    labels = set()
    for values in ({}, {"template": "alpaca"}, {"direct_context": "bos"}, {"direct_context": "none"}, {"lang": "en"}):
        stage = scorer(project, settings(**values), FAKE)
        found = pair_losses(stage, real_pairs(2), settings(**values))
        assert found is not None
        labels |= set(found["template"])
    assert len(labels) == 5


def test_a_pilot_writes_nothing(project: Project) -> None:
    from kun.work.pilot import Pilot

    store(project, "mixed", real_pairs(10))
    pilot = Pilot(8)
    assert losses(project, PARAMS.losses, FAKE, pilot) is None
    assert len(pilot.sampled) == 8 and len(pilot.costs) == 20
    assert not project.dataset("losses").exists()


def test_any_order_and_company_gives_the_same_scores(tmp_path: Path, bases: dict[str, Path]) -> None:
    pairs = real_pairs(8)
    rng = random.Random(0)
    together = scored(tmp_path / "all", bases["gpt2"], pairs).select("id", "ifd_loss")
    for number in range(3):
        part = pairs.sample(rng.randint(1, 7), seed=number)
        alone = scored(tmp_path / str(number), bases["gpt2"], part).select("id", "ifd_loss")
        both = alone.join(together, on="id", how="left", maintain_order="left")
        assert both["ifd_loss"].to_list() == pytest.approx(both["ifd_loss_right"].to_list(), rel=1e-4)


def test_the_stage_takes_its_model_by_name(project: Project) -> None:
    assert isinstance(scorer(project, PARAMS.losses, FAKE), ModelStage)
