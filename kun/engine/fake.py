"""A deterministic stand-in without weights, for trying the plumbing and for tests of everything around a model."""

import hashlib
from collections.abc import Sequence

from kun.engine.base import Completion, Gauge, Sampling, Span, TokenLoss, Tokens

WORDS = ("请说明", "为什么", "如何", "比较", "列举", "水稻", "星星", "历史", "方法", "原因", "变化", "特点")


class FakeModel:
    """Text and numbers from hashes of the prompt; implements `Model`."""

    def __init__(self, tokens: Tokens) -> None:
        """`tokens` counts and renders as for a real model."""
        self._tokens = tokens

    def chat(self, message: str) -> str:
        """Render one user turn."""
        return self._tokens.chat(message)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return self._tokens.count(texts)

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, schemas: Sequence[str] = (), seeds: Sequence[int] = ()
    ) -> list[Completion]:
        """Sentences of words picked by the prompt's hash; they follow no schema."""
        completions = []
        for prompt, seed in zip(prompts, seeds or [sampling.seed] * len(prompts), strict=True):
            digest = _digest(f"{seed}{prompt}")
            text = "".join(WORDS[byte % len(WORDS)] for byte in digest[:12]) + "。"
            completions.append(Completion(text, "stop", len(text)))
        return completions

    def choices(self, prompts: Sequence[str], choices: Sequence[str]) -> list[list[float]]:
        """Log-probabilities between -3 and 0."""
        return [[-3 * _fraction(prompt + choice) for choice in choices] for prompt in prompts]

    def losses(self, pairs: Sequence[tuple[str, str]]) -> list[TokenLoss]:
        """A mean loss between 1 and 4 nats a token."""
        counts = self._tokens.count([text for _, text in pairs])
        return [
            TokenLoss(n * (1 + 3 * _fraction(context + text)), n)
            for (context, text), n in zip(pairs, counts, strict=True)
        ]

    def span_losses(self, spans: Sequence[Span]) -> list[TokenLoss]:
        """As `losses`, of the leading tokens."""
        counts = [n if context else max(n - 1, 0) for context, _, n in spans]
        return [
            TokenLoss(n * (1 + 3 * _fraction(context + text)), n)
            for (context, text, _), n in zip(spans, counts, strict=True)
        ]

    def embeddings(self, texts: Sequence[str]) -> list[list[float]]:
        """Sixteen numbers between -1 and 1, equal for equal texts only."""
        return [[byte / 127.5 - 1 for byte in _digest(text)] for text in texts]

    def gauge(self) -> Gauge:
        """It computes nothing."""
        return Gauge("none")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _fraction(text: str) -> float:
    return int.from_bytes(_digest(text)[:4]) / 2**32
