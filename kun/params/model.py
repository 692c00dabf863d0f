"""The base model and the engine that runs it."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from kun.params.values import Count, Positive, Share


@dataclass(frozen=True)
class Model:
    """The base model that everything is trained from."""

    base: str
    """A GGUF file, the name of an installed package that ships one, a folder in transformers format, or a hub id."""
    revision: str
    """Branch, tag or commit of a hub id; pinned to a commit in models/base.json."""
    licence: str
    """Licence of a local folder or file, named on the dataset card."""
    teacher: str = ""
    """Another model, as `base`, which writes what is to be learned from: GLAN's syllabi, Dynosaur's tasks, rewritten pairs.
    "": the base model."""
    teacher_revision: str = "main"
    """As `revision`."""


SERVED = {"base", "teacher", "label", "chat"}


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible server. Of these, `models` and `extra` decide a result; moving a server computes nothing anew."""

    url: str
    """Up to and including `/v1`."""
    models: str | dict[str, str]
    """What the server calls its models: `base`, `teacher`, `label` and `chat` -> name, or one name for all."""
    key: str
    """Name of the environment variable that holds the API key; "": the server asks for none."""
    concurrency: Positive
    """Requests under way at a time, of each process."""
    timeout: Annotated[float, 0.1, None]
    """Seconds that one request may take."""
    retries: Count
    """Times that a request is sent again after 429, 5xx, a timeout or a lost connection; waits double from 0.5 to 16 seconds."""
    price_in: Annotated[float, 0, None]
    """Of a million tokens of prompt, in whatever currency, as `price_out` of a million written tokens."""
    price_out: Annotated[float, 0, None]
    max_cost: Annotated[float, 0, None]
    """A stage stops when it has spent this on its model, over all its runs; 0: never."""
    extra: dict[str, Any]
    """More fields of each request, as this server knows them; null takes one out that kun would send."""

    def __post_init__(self) -> None:
        if self.url and not re.match(r"https?://[^/@]+(/[^@]*)?$", self.url):
            raise ValueError("url must be http(s)://HOST:PORT/v1 without user and password")
        if isinstance(self.models, dict) and (unknown := set(self.models) - SERVED):
            raise ValueError(f"models: unknown model `{min(unknown)}`; known models: base, teacher, label, chat")
        if self.key and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.key):
            raise ValueError("key must be the name of an environment variable, never the key itself")
        if self.max_cost and not self.price_in + self.price_out:
            raise ValueError("max_cost needs price_in and price_out")

    def model(self, role: str) -> str:
        """The name behind one of SERVED; "" when there is none. The teacher is the base model where none is named."""
        if isinstance(self.models, str):
            return self.models
        return self.models.get(role, "") or (self.models.get("base", "") if role == "teacher" else "")


@dataclass(frozen=True)
class Engine:
    """How model work is computed. Of these, `backend`, `dtype`, `context`, `embedder` and parts of `server` decide
    a result.

    The sizes of batches move the last bits of floating-point sums at most.
    """

    backend: Literal["hf", "openai", "fake"]
    """hf: transformers + accelerate. openai: a server. fake: deterministic text without a model."""
    dtype: Literal["auto", "float32", "bfloat16"]
    """auto: bfloat16 where it is native, else float32; finished rows of either are taken as equal."""
    batch_tokens: Annotated[int, 16, None]
    """Tokens of one batch: rows x (longest prompt + new tokens). Servers make batches of their own."""
    max_rows: Positive
    """Rows of one batch."""
    context: Annotated[int, 64, None]
    """Tokens of prompt and output together; a longer prompt never reaches label, judge or polish."""
    max_failed_share: Share
    """A stage with more failed rows than this stops with an error."""
    embedder: str
    """What embeds texts, pairs and prompts: a sentence encoder (a folder or a hub id), "": the base model's hidden states."""
    server: Server
    """What `backend: openai` asks."""

    def __post_init__(self) -> None:
        if self.backend == "openai" and not (self.server.url and self.server.models):
            raise ValueError("backend openai needs server.url and server.models")
