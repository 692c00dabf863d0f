"""A model behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, transformers serve, a cloud."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kun.engine.base import Completion, Failure, Gauge, Sampling, Span, TokenLoss, Tokens
from kun.engine.connection import Body, Connection, user_turn
from kun.engine.estimate import CANNOT_SCORE
from kun.engine.replies import Reply, beginnings, completion, first_log_probabilities, positions
from kun.engine.usage import Usage
from kun.errors import ConfigError, ServerError
from kun.params import Server

ANY_RECORD = '{"type": "object", "properties": {}, "required": [], "additionalProperties": false}'
"""Whether a server takes schemas at all; a row whose own is refused fails by itself."""
TOP = 20
"""Likeliest tokens that are asked for at each place: what vLLM and OpenAI give at most."""


class OpenAIModel:
    """Completions and choices by chat requests, one for each row; implements `Model`, but for losses."""

    def __init__(self, server: Server, model: str, tokens: Tokens, spent: Path) -> None:
        """`model` is the server's name for it, `tokens` hands messages on, `spent` is the file of what was paid so far."""
        self.usage = Usage(spent, server.price_in, server.price_out)
        self._server, self._tokens = server, tokens
        self._connection = Connection(server, model, self.usage, self._count_one)
        self._tried: set[str] = set()

    def chat(self, message: str) -> str:
        """The bare message."""
        return self._tokens.chat(message)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, about."""
        return self._tokens.count(texts)

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, schemas: Sequence[str] = (), seeds: Sequence[int] = ()
    ) -> list[Completion | Failure]:
        """The reply to each prompt as the only turn of a chat."""
        forms = [_form(schema) for schema in schemas or [""] * len(prompts)]
        tried = _form(ANY_RECORD) if any(forms) else {}
        if refusal := self._refusal({**_fields(sampling), **tried, "max_tokens": 1}, lambda reply: reply):
            raise ServerError(
                f"{self._server.url} does not take requests of this kind: {refusal.detail}; change what it names, or leave a "
                "field out by null in engine.server.extra"
            )
        bodies = [
            self._body(
                prompt, _fields(sampling) | form | ({"seed": _seed(prompt, seed)} if sampling.temperature else {})
            )
            for prompt, form, seed in zip(prompts, forms, seeds or [sampling.seed] * len(prompts), strict=True)
        ]
        return self._connection.ask_all(bodies, lambda reply: completion(reply, self._count_one))

    def choices(self, prompts: Sequence[str], choices: Sequence[str]) -> list[list[float] | Failure]:
        """Log-probability that the reply begins like each choice; see `first_log_probabilities` for what is not listed.

        ConfigError when the server gives no log-probabilities.
        """
        if refusal := self.refuses_log_probabilities(choices):
            raise ConfigError(
                f"{self._server.url} gives no log-probabilities ({refusal.detail}), which judge.mode verdict and `kun evaluate` "
                "need; set judge.mode to sampled or pair_score and judge.calibrate to 0, or take another server"
            )
        wanted = beginnings(choices)
        bodies = [self._body(prompt, _with_log_probabilities(wanted)) for prompt in prompts]
        return self._connection.ask_all(bodies, lambda reply: first_log_probabilities(reply, wanted))

    def refuses_log_probabilities(self, choices: Sequence[str]) -> Failure | None:
        """Why `choices` cannot be asked of this server, None when they can."""
        return self._refusal(_with_log_probabilities(beginnings(choices)), positions)

    def losses(self, pairs: Sequence[tuple[str, str]]) -> list[TokenLoss | Failure]:
        """ConfigError: chat servers give the log-probabilities of what they write, not of what they read."""
        raise ConfigError(
            "a server cannot score given texts; set perplexity.backend to kenlm, or engine.backend to hf for this stage"
        )

    def span_losses(self, spans: Sequence[Span]) -> list[TokenLoss | Failure]:
        """ConfigError, as `losses`."""
        raise ConfigError(CANNOT_SCORE)

    def embeddings(self, texts: Sequence[str]) -> list[list[float] | Failure]:
        """ConfigError: hidden states stay inside a server."""
        raise ConfigError(
            "a server gives no hidden states; name a sentence encoder in engine.embedder, or set engine.backend to hf"
        )

    def gauge(self) -> Gauge:
        """Tokens by the server's own count, and what they cost."""
        usage = self.usage
        return Gauge("server", pads=False, tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, cost=usage.cost)

    def _refusal(self, fields: dict[str, Any], read: Callable[[Reply], object]) -> Failure | None:
        """Why the server does not take requests with these fields; asked once, before the first row."""
        kind = json.dumps(fields, sort_keys=True)
        if kind in self._tried:
            return None
        refusal = self._connection.probe(self._body("你好", fields), read)
        if refusal is None:
            self._tried.add(kind)
        return refusal

    def _body(self, prompt: str, fields: dict[str, Any]) -> Body:
        whole = {"messages": user_turn(prompt), **fields, **self._server.extra}
        return {field: value for field, value in whole.items() if value is not None}

    def _count_one(self, text: str) -> int:
        return self._tokens.count([text])[0]


def _fields(sampling: Sampling) -> dict[str, Any]:
    """Without what is the default everywhere, or unknown to many servers."""
    fields: dict[str, Any] = {"temperature": sampling.temperature, "max_tokens": sampling.max_new_tokens}
    if sampling.temperature > 0:
        fields["top_p"] = sampling.top_p
    if sampling.repetition_penalty != 1.0:
        fields["repetition_penalty"] = sampling.repetition_penalty
    return fields


def _form(schema: str) -> dict[str, Any]:
    """The field that holds a reply to a JSON schema; nothing for free text."""
    if not schema:
        return {}
    named = {"name": "record", "strict": True, "schema": json.loads(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _with_log_probabilities(wanted: Sequence[bytes]) -> dict[str, Any]:
    """A token has a byte at least."""
    return {"temperature": 0.0, "logprobs": True, "top_logprobs": TOP, "max_tokens": max(map(len, wanted))}


def _seed(prompt: str, seed: int) -> int:
    """A random stream that belongs to the row; 31 bits, which every server takes."""
    digest = hashlib.blake2b(f"{seed}\n{prompt}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1
