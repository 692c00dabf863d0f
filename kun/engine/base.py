"""What a stage may ask of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kun.errors import KunError


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn."""

    max_new_tokens: int
    temperature: float = 0.0
    """0: greedy."""
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    """Divides the logits of tokens already generated; the prompt is not penalised, for answers must be free to quote it."""
    seed: int = 0


@dataclass(frozen=True)
class Completion:
    """One generated text, without template markers."""

    text: str
    finish: str
    """stop: ended by itself; length: cut at max_new_tokens; empty: nothing but white space."""
    n_new: int
    """Generated tokens, the end token not counted."""


@dataclass(frozen=True)
class Failure:
    """Why a row has no result; it is tried again when the stage runs again."""

    reason: str
    """Name for the ledger: out_of_memory, timeout, malformed_reply, ..."""
    detail: str
    """What was seen, one line."""
    error: KunError | None = None
    """Ends the stage once the finished rows of the batch are kept, for no other row could do better."""


@dataclass(frozen=True)
class TokenLoss:
    """Loss of a continuation given its context."""

    total: float
    """Sum over the tokens, nats."""
    n_tokens: int


Span = tuple[str, str, int]
"""Context, text, and how many leading tokens of the text count."""


@dataclass(frozen=True)
class Gauge:
    """What a model tells of itself for telemetry; nothing of it decides a result."""

    device: str = ""
    """cpu, the name of a GPU, or server."""
    dtype: str = ""
    attention: str = ""
    """Implementation of the attention layers."""
    peak_memory: int = 0
    """Bytes that the device has held at most; 0 where it has no memory of its own."""
    pads: bool = True
    """Whether rows are padded to the longest of their batch."""
    tokens_in: int | None = None
    """What a server has counted since the model was loaded; None: kun counts by its own tokenizer."""
    tokens_out: int | None = None
    cost: float = 0.0
    """Paid to a server since the model was loaded, in the currency of its prices."""


class Tokens(Protocol):
    """The part of a model that needs no weights."""

    def chat(self, message: str) -> str:
        """Render one user turn, ready for the model's reply."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, no special tokens added."""

    def begin(self) -> str:
        """The token that begins a document, else the one that ends it; "" where neither is known."""

    def header(self) -> str:
        """What the chat template puts before a reply, without the user's turn: beginning, default system turn, header."""


class Generator(Protocol):
    """Writes text."""

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, schemas: Sequence[str] = (), seeds: Sequence[int] = ()
    ) -> Sequence[Completion | Failure]:
        """Complete rendered prompts as one batch, in input order.

        `schemas`: the JSON schema, as JSON, that each text must satisfy, "" where it is free; none: all are. `seeds`: one for
        each prompt, where `sampling.seed` is not that of all. A completion depends on its prompt, its schema, its seed and
        `sampling` alone, up to float rounding across batch shapes.
        """


class Scorer(Protocol):
    """Measures text."""

    def choices(self, prompts: Sequence[str], choices: Sequence[str]) -> Sequence[list[float] | Failure]:
        """Log-probability (nats) that a reply begins like each choice and no other, `[len(prompts)][len(choices)]`.

        Summed up to the token that tells a choice from all others. What follows it is form: counting the closing bracket
        of 【好】 and 【差】 buried the verdict of a judge that had learned the verdict alone (AUC 0.86 as 0.50).
        """

    def losses(self, pairs: Sequence[tuple[str, str]]) -> Sequence[TokenLoss | Failure]:
        """Loss of each (context, continuation), as one batch, in input order.

        Context and continuation are tokenised apart, then joined, so the boundary is exact. An empty context means the
        beginning of a document.
        """

    def span_losses(self, spans: Sequence[Span]) -> Sequence[TokenLoss | Failure]:
        """Loss of the leading tokens of each text behind its context, as one batch, in input order.

        Tokenised apart as in `losses`, so a text has the same tokens behind every context. Behind an empty context its
        first token is the context and has no loss itself.
        """


class Embedder(Protocol):
    """Turns texts into vectors."""

    def embeddings(self, texts: Sequence[str]) -> Sequence[list[float] | Failure]:
        """A vector for each text, `[len(texts)][dimensions]`, neither centred nor scaled.

        A causal model gives the mean of the last hidden states over the text's tokens.
        """

    def gauge(self) -> Gauge:
        """Where it computes, and what it has used so far."""


class Model(Generator, Scorer, Embedder, Protocol):
    """A backend that can do all three."""
