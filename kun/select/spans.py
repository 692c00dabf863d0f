"""What of a pair is scored, and behind what: the same tokens of one text in every pass."""

from dataclasses import dataclass

import polars as pl

from kun.engine.base import Span, Tokens
from kun.params import Losses
from kun.select.templates import Template


@dataclass(frozen=True)
class Scored:
    """A text whose leading tokens are scored, behind a prompt and behind the direct context alone."""

    prompt: str
    text: str
    n_tokens: int
    """N_eff = min(N, max_length - P); 0 with a reason why."""
    reason: str
    truncated: bool
    """The answer was cut: where it is scored, or where it is shown."""

    def spans(self, direct: str) -> dict[str, Span]:
        """`cond` and `direct`, as far as there is a token to be predicted from another."""
        both = {"cond": self.prompt, "direct": direct}
        return {
            name: (context, self.text, self.n_tokens)
            for name, context in both.items()
            if self.n_tokens > (0 if context else 1)
        }


def answers(pairs: pl.DataFrame, template: Template, tokens: Tokens, params: Losses) -> list[Scored]:
    """The answer of each pair, cut to what its prompt leaves of `max_length`."""
    prompts = [template.prompt(*row) for row in pairs.select("instruction", "input").iter_rows()]
    texts = pairs["output"].to_list()
    sizes = zip(tokens.count(prompts), tokens.count(texts), strict=True)
    found = []
    for prompt, text, (before, n) in zip(prompts, texts, sizes, strict=True):
        n_tokens, reason = _within(text, n, params.max_length - before, "empty_answer", params.min_tokens)
        found.append(Scored(prompt, text, n_tokens, reason, truncated=0 < n_tokens < n))
    return found


def instructions(pairs: pl.DataFrame, template: Template, tokens: Tokens, params: Losses) -> list[Scored]:
    """The instruction of each pair, with its input, behind the request to guess it.

    A long answer is cut in the request, so that the instruction is scored whole.
    """
    asked = pairs.select("instruction", "input").iter_rows()
    texts = [f"{instruction}\n{given}" if given else instruction for instruction, given in asked]
    prompts = [template.guess(answer) for answer in pairs["output"]]
    sizes = zip(tokens.count(prompts), tokens.count(texts), strict=True)
    found = []
    for answer, text, prompt, (before, n) in zip(pairs["output"], texts, prompts, sizes, strict=True):
        if too_long := before + n > params.max_length:
            prompt = template.guess(_shown(answer, template, tokens, params.max_length - n))
            (before,) = tokens.count([prompt])
        n_tokens, reason = _within(text, n, params.max_length - before, "empty_instruction", params.min_tokens)
        found.append(Scored(prompt, text, n_tokens, reason, truncated=too_long))
    return found


def _within(text: str, n: int, room: int, empty: str, fewest: int) -> tuple[int, str]:
    """Scored tokens of a text of `n`, and the reason if they are none or few."""
    if n == 0 or not text.strip():
        return 0, empty
    if room <= 0:
        return 0, "prompt_too_long"
    n_tokens = min(n, room)
    return n_tokens, "ok" if n_tokens >= fewest else "few_tokens"


def _shown(answer: str, template: Template, tokens: Tokens, limit: int) -> str:
    """The beginning of an answer with which the request has at most `limit` tokens; "" when none fits."""
    while answer and (n := tokens.count([template.guess(answer)])[0]) > limit:
        own = tokens.count([answer])[0]
        answer = answer[: min(len(answer) - 1, max(0, len(answer) * (own - (n - limit)) // max(own, 1)))]
    return answer
