from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kun.backtranslate.measures import copy_rate, support
from kun.backtranslate.polish import SENTENCE, polish, polish_prompt, shortened
from kun.engine.tokens import TokenizerFile
from kun.params import Engine, Polish
from kun.project import Project
from kun.schemas.pairs import INSTRUCTION, JUDGED
from kun.tables.shards import read_dataset
from kun.work.stage import ModelStage
from tests.made import FAKE, HF, PARAMS, assert_conserved, changed, ledger, pinned, prose, reasons, store, texts
from tests.tiny import CHATML

LOW = changed(PARAMS.judge, floor=0.3)
FLOORLESS = changed(PARAMS.judge, floor=0.0)


def prepared(
    project: Project, raw: list[str], instructions: list[str], p_good: list[float | None] | None = None
) -> list[str]:
    """Texts with their instructions and scores; returns the ids."""
    rows = store(project, "corpus", texts(raw))
    store(project, "instructions", pl.DataFrame({"id": rows["id"], "instruction": instructions}, schema=INSTRUCTION))
    judged = {
        "id": rows["id"],
        "p_good": p_good or [0.9] * len(raw),
        "verdict": "good",
        "margin": 1.0,
        "reply": "",
    }
    store(project, "judged", pl.DataFrame(judged, schema=JUDGED))
    return rows["id"].to_list()


def polished(project: Project, params: Polish = PARAMS.polish, engine: Engine = FAKE) -> list[str]:
    """Run the stage and return the prompts that went to the model."""
    seen: list[str] = []
    own = ModelStage.generate

    def spy(self: ModelStage, prompts: list[str], sampling: Any) -> pl.DataFrame | None:
        seen.extend(prompts)
        return own(self, prompts, sampling)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelStage, "generate", spy)
        counts = polish(project, params, FLOORLESS, engine)
    assert counts is not None
    assert_conserved(project, "polish", "polished", read_dataset(project.dataset("judged"))["id"].to_list(), counts)
    return seen


def instruction_in(prompt: str) -> str:
    """The instruction as the prompt carries it, to its last character."""
    assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
    return prompt.removesuffix("<|im_end|>\n<|im_start|>assistant\n").split("\n指令：")[1]


@pytest.mark.parametrize("context", [200, 260, 330, 420, 2048])
def test_acceptance_5_the_instruction_is_whole_and_the_prompt_fits(
    tmp_path: Path, tiny_base: Path, context: int
) -> None:
    project = pinned(tmp_path, tiny_base)
    raw = ["".join(prose(count, seed=count)) for count in range(1, 13)]
    told = [f"请介绍第{number}段话里的事情，{'并且说明理由，' * (number % 4)}说得详细一些。" for number in range(12)]
    ids = prepared(project, raw, told)
    engine, params = changed(FAKE, context=context), changed(PARAMS.polish, max_new_tokens=96, min_text_tokens=16)
    prompts = polished(project, params, engine)
    done = read_dataset(project.dataset("polished"))
    assert len(prompts) == done.height
    tokens = ModelStage(project, "polish", engine, None).tokens
    instruction_of, raw_of = dict(zip(ids, told, strict=True)), dict(zip(ids, raw, strict=True))
    for row, prompt, size in zip(done.iter_rows(named=True), prompts, tokens.count(prompts), strict=True):
        assert instruction_in(prompt) == instruction_of[row["id"]]
        assert size + params.max_new_tokens <= context
        text = prompt.split("资料：\n")[1].split("\n\n请回答")[0]
        assert raw_of[row["id"]].startswith(text)
        assert row["shortened"] == (text != raw_of[row["id"]])
        if row["shortened"]:
            after = raw_of[row["id"]][len(text)]
            assert text[-1] in "。；！？" or after == "\n", "cut at the end of a sentence"
            assert tokens.count([text])[0] >= params.min_text_tokens
    assert context < 2048 or (done.height == 12 and not done["shortened"].any())
    assert context >= 2048 or done["shortened"].any() or reasons(project, "polish")


def test_a_text_with_too_little_left_is_dropped(tmp_path: Path, tiny_base: Path) -> None:
    project = pinned(tmp_path, tiny_base)
    (row,) = prepared(project, ["河水流过山谷。" * 100], ["请介绍河水。" * 10])
    params = changed(PARAMS.polish, max_new_tokens=96, min_text_tokens=64)
    assert polished(project, params, changed(FAKE, context=250)) == []
    assert reasons(project, "polish") == {row: "text_budget"}
    seen = ledger(project, "polish").row(0, named=True)
    assert int(seen["value"]) < 64 == int(seen["threshold"])


@pytest.mark.parametrize("least", [0, 64])
def test_an_instruction_beyond_the_context_is_dropped_and_never_cut(
    tmp_path: Path, tiny_base: Path, least: int
) -> None:
    """Even when the user asks for no text at all (min_text_tokens 0), the prompt must fit."""
    project = pinned(tmp_path, tiny_base)
    ids = prepared(project, ["河水流过山谷。", "河水流过山谷。"], ["介绍河水。", "请介绍河水。" * 60])
    params = changed(PARAMS.polish, max_new_tokens=96, min_text_tokens=least)
    assert len(polished(project, params, changed(FAKE, context=250))) == 1
    assert reasons(project, "polish") == {ids[1]: "text_budget"}


def merging(folder: Path) -> TokenizerFile:
    """A tokenizer that writes a comma and two line breaks as one token: parts may weigh less than the sum of a whole."""
    letters = {
        letter: number
        for number, letter in enumerate(sorted(set("资料：\n请回答下面的指令。内容以为准，去掉无关部分不要提到河水流")))
    }
    vocabulary = letters | {"，\n": 900, "，\n\n": 901, "<|im_start|>": 902, "<|im_end|>": 903, "<unk>": 904}
    model = tokenizers.models.BPE(vocabulary, [("，", "\n"), ("，\n", "\n")], unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return TokenizerFile(folder, CHATML, "")


def test_acceptance_5_holds_where_tokens_merge_across_the_ends_of_a_text(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands around the text may weigh less behind the whole text than behind the shortened one."""
    project = pinned(tmp_path, tiny_base)
    tokens = merging(tmp_path)
    monkeypatch.setattr("kun.work.engines.load_tokens", lambda project: tokens)
    prepared(project, ["河水流。" * 60 + "河水流，"] * 40, [f"请{'水' * number}。" for number in range(40)])
    params = changed(PARAMS.polish, max_new_tokens=96, min_text_tokens=16)
    prompts = polished(project, params, changed(FAKE, context=250))
    sizes = tokens.count(prompts)
    assert len(prompts) == 40
    assert max(sizes) + params.max_new_tokens <= 250
    assert min(sizes) + params.max_new_tokens > 240, "the budget is used, not wasted"


@pytest.fixture(scope="module")
def tokens(tiny_base: Path) -> TokenizerFile:
    return TokenizerFile(tiny_base, CHATML, "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text("河水。！？；\n”」ab,.", max_size=60), budget=st.integers(-5, 70))
def test_shortened_keeps_the_most_whole_sentences_that_fit(tokens: TokenizerFile, text: str, budget: int) -> None:
    """The tiny tokenizer has one token a character, so the sum of the parts is the whole."""
    sentences = SENTENCE.findall(text)
    assert "".join(sentences) == text, "no character lies between two sentences"
    whole = ["".join(sentences[:count]) for count in range(len(sentences) + 1)]
    assert shortened(text, tokens, budget) == max((w for w in whole if len(w) <= budget), key=len, default="").strip()


def test_sentences_end_behind_their_closing_marks() -> None:
    text = "他说：“河水很清。”\n然后走了！！真的？（是的。）最后一句没有句号"
    assert SENTENCE.findall(text) == [
        "他说：“河水很清。”",
        "\n",
        "然后走了！！",
        "真的？",
        "（是的。）",
        "最后一句没有句号",
    ]


def test_the_floor_saves_work_and_null_is_below_it(tmp_path: Path, tiny_base: Path) -> None:
    project = pinned(tmp_path, tiny_base)
    ids = prepared(project, prose(4), [f"请介绍{number}。" for number in range(4)], [0.29, 0.3, None, 0.9])
    counts = polish(project, PARAMS.polish, LOW, FAKE)
    assert counts is not None
    assert read_dataset(project.dataset("polished"))["id"].to_list() == [ids[1], ids[3]]
    assert reasons(project, "polish") == {ids[0]: "judge_floor", ids[2]: "judge_floor"}
    limited = polish(project, changed(PARAMS.polish, limit=1), LOW, FAKE)
    assert limited is not None and limited["reasons"] == {"judge_floor": 2, "limit": 1}


def test_measures_are_of_the_answer_and_the_whole_raw_text(tmp_path: Path, tiny_base: Path) -> None:
    """With the real, tiny model and a shortened text: what the model did not see still counts as text."""
    project = pinned(tmp_path, tiny_base)
    project.adapter("chat").mkdir(parents=True)
    for file in tiny_base.iterdir():
        (project.adapter("chat") / file.name).write_bytes(file.read_bytes())
    raw = ["".join(prose(3, seed=number)) for number in range(4)]
    prepared(project, raw, [f"请介绍{number}。" for number in range(4)])
    params = changed(PARAMS.polish, max_new_tokens=40, temperature=1.0, min_text_tokens=16)
    polished(project, params, changed(HF, context=220))
    done = read_dataset(project.dataset("polished"))
    assert done.height == 4 and done["shortened"].all()
    for row, text in zip(done.iter_rows(named=True), raw, strict=True):
        assert row["copy_rate"] == copy_rate(row["answer"], text)
        assert row["support"] == support(row["answer"], text)
        assert row["length_ratio"] == pytest.approx(len(row["answer"]) / len(text))
    assert (done["copy_rate"] < 1).all(), "acceptance 12: something was polished"
    assert done["copy_rate"].sum() > 0


@given(st.text("河水 \n", max_size=9), st.text("介绍河水", min_size=1, max_size=9))
def test_the_prompt_holds_text_and_instruction_in_this_order(text: str, instruction: str) -> None:
    for lang in ("zh", "en"):
        prompt = polish_prompt(text, instruction, lang)
        assert prompt.endswith(instruction)
        assert text in prompt.removesuffix(instruction)
