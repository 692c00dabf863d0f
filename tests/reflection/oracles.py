"""Oracles for tests: models that reply as told, and know what they were asked."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from kun.engine.base import Completion, Failure, Sampling, Tokens
from kun.engine.fake import FakeModel
from kun.params import Engine
from kun.project import Project
from kun.work import stage

Reply = Callable[[str, int], str | Failure]
"""(prompt, seed) -> what the oracle writes."""


class Oracle(FakeModel):
    """The fake model, but for what it writes."""

    def __init__(self, tokens: Tokens, reply: Reply, asked: "Counter[str]") -> None:
        super().__init__(tokens)
        self._reply, self._asked = reply, asked

    def generate(  # type: ignore[override]
        self, prompts: Sequence[str], sampling: Sampling, schemas: Sequence[str] = ()
    ) -> list[Completion | Failure]:
        self._asked.update(prompts)
        replies = [self._reply(prompt, sampling.seed) for prompt in prompts]
        return [one if isinstance(one, Failure) else Completion(one, "stop", len(one)) for one in replies]


@contextmanager
def replying(reply: Reply) -> Iterator["Counter[str]"]:
    """While stages run: their model is an oracle; gives how often it was asked each prompt."""
    asked: Counter[str] = Counter()

    def load(project: Project, engine: Engine, adapter: str | None, tokens: Tokens, name: str) -> Oracle:
        return Oracle(tokens, reply, asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "load_engine", load)
        yield asked


def shown(prompt: str) -> dict[str, str]:
    """The fields that a Chinese prompt shows: instruction, input (of the step of answers, if there is one), output."""
    fields = prompt.split("请依次完成")[0]
    instruction, output = fields.split("[指令]\n")[1].split("\n\n[回答]\n")
    instruction, _, given = instruction.partition("\n\n[输入]\n")
    return {"instruction": instruction, "input": given, "output": output.strip()}


def rewrites(prompt: str) -> bool:
    """Whether a new instruction is asked for."""
    return "新指令" in prompt


def better(prompt: str, seed: int = 0) -> str:
    """A record with a version that differs from the one shown and says what it belongs to."""
    pair = shown(prompt)
    topic = pair["instruction"][:8]
    answer = f"关于{topic}，可以分成三点来说：先讲清楚概念，再举一个例子，最后总结它的用处和局限。{pair['output'][:10]}"
    asked = {"instruction": f"请从三个方面深入分析{topic}，并举例说明。"} if rewrites(prompt) else {}
    return json.dumps({"critique": "太简单。", **asked, "answer": answer}, ensure_ascii=False)


def unchanged(prompt: str, seed: int = 0) -> str:
    pair = shown(prompt)
    request = "\n".join(filter(None, (pair["instruction"], pair["input"])))
    asked: dict[str, Any] = {"instruction": request} if rewrites(prompt) else {}
    return json.dumps({"critique": "很好。", **asked, "answer": pair["output"]}, ensure_ascii=False)
