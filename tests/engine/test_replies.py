"""Log-probabilities of choices, from replies as a server with log-probabilities writes them."""

import math
from typing import Any

import pytest
import torch

from kun.engine.base import Failure
from kun.engine.hf import HFModel
from kun.engine.replies import MalformedReply, beginnings, first_log_probabilities
from tests.engine.servers import chat_reply
from tests.made import prose

VERDICTS = beginnings(["【好】", "【差】"])


def token(text: str | bytes, probability: float) -> dict[str, Any]:
    data = text.encode() if isinstance(text, str) else text
    return {"token": data.decode(errors="replace"), "bytes": list(data), "logprob": math.log(probability)}


def reply(*places: list[dict[str, Any]]) -> dict[str, Any]:
    """The first token of each place is the one that was written."""
    told = chat_reply("", "m")
    told["choices"][0]["logprobs"] = {"content": [{**place[0], "top_logprobs": place} for place in places]}
    return told


def probabilities(told: dict[str, Any]) -> list[float]:
    values = first_log_probabilities(told, VERDICTS)
    assert isinstance(values, list)
    return [math.exp(value) for value in values]


def test_a_choice_counts_up_to_the_character_that_tells_it_from_the_others() -> None:
    assert [one.decode() for one in VERDICTS] == ["【好", "【差"]
    assert [one.decode() for one in beginnings(["是", "不是", "不知道"])] == ["是", "不是", "不知"]
    assert beginnings(["好"]) == ["好".encode()]


def test_probabilities_multiply_along_the_reply() -> None:
    told = reply([token("【", 0.8), token("好", 0.1)], [token("好", 0.6), token("差", 0.3), token("坏", 0.1)])
    assert probabilities(told) == pytest.approx([0.48, 0.24])


def test_tokens_may_be_whole_verdicts_or_parts_of_characters() -> None:
    whole = reply([token("【好】", 0.5), token("【差", 0.25), token("【好", 0.125)])
    assert probabilities(whole) == pytest.approx([0.625, 0.25])
    good, bad = "好".encode(), "差".encode()
    parts = reply([token("【", 1.0)], [token(bad[:2], 0.75), token(good, 0.25)], [token(bad[2:], 1.0)])
    assert probabilities(parts) == pytest.approx([0.25, 0.75])


def test_white_space_in_front_is_form() -> None:
    told = reply([token("\n", 1.0)], [token(" 【", 1.0)], [token("差", 0.5), token("好", 0.5)])
    assert probabilities(told) == pytest.approx([0.5, 0.5])


def test_a_choice_that_is_not_listed_gets_what_the_least_likely_token_has() -> None:
    told = reply([token("【", 0.5)], [token("好", 0.9), token("坏", 0.01)])
    assert probabilities(told) == pytest.approx([0.45, 0.005])


def test_a_reply_that_begins_in_another_way_says_nothing() -> None:
    told = reply([token("这条", 0.9), token("【", 0.1)], [token("指令", 1.0)])
    assert first_log_probabilities(told, VERDICTS) == Failure("no_choice", "the reply begins '这条'")


@pytest.mark.parametrize("content", [None, [], [{"token": "好", "logprob": -1}], [{"token": "好", "top_logprobs": []}]])
def test_a_reply_without_log_probabilities_is_malformed(content: Any) -> None:
    told = chat_reply("", "m")
    told["choices"][0]["logprobs"] = {"content": content}
    with pytest.raises(MalformedReply, match="log"):
        first_log_probabilities(told, VERDICTS)


def written_with_logprobs(model: HFModel, message: str, steps: int) -> dict[str, Any]:
    """What a server says that runs this model: greedily, with the 20 likeliest tokens of each place."""
    ids = model.tokens.encode([model.chat(message)])[0]
    places = []
    for _ in range(steps):
        with torch.no_grad():
            logits = model.model(input_ids=torch.tensor([ids])).logits[0, -1].float()
        values, tops = logits.log_softmax(0).topk(20)
        texts = [model.tokens._tokenizer.id_to_token(top) for top in tops.tolist()]
        places.append([token(text, math.exp(value)) for text, value in zip(texts, values.tolist(), strict=True)])
        ids = [*ids, int(tops[0])]
    return reply(*places)


def test_they_are_those_of_the_same_model_here(llama: HFModel) -> None:
    for message in [text[:20] for text in prose(6)]:
        told = written_with_logprobs(llama, message, 3)
        places = told["choices"][0]["logprobs"]["content"]
        first, second = [[top["token"] for top in place["top_logprobs"]] for place in places[:2]]
        for choices in ([first[0], first[1], first[7]], [first[0] + second[0], first[0] + second[3]]):
            (ours,) = llama.choices([llama.chat(message)], choices)
            assert first_log_probabilities(told, beginnings(choices)) == pytest.approx(ours, abs=1e-3)
