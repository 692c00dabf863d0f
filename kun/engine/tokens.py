"""Tokenizer and chat template without torch: counting and rendering for the stages that load no weights."""

from collections.abc import Sequence
from pathlib import Path

import jinja2
import jinja2.sandbox
import tokenizers

from kun.errors import ModelError


class TokenizerFile:
    """A `tokenizer.json` and a chat template; implements `Tokens`.

    The template sees the same variables as in transformers (`messages`, `add_generation_prompt`, `bos_token`), in the
    same kind of sandbox, so both render the same text.
    """

    def __init__(self, folder: Path, template: str, bos_token: str) -> None:
        """Load from a model folder; ModelError when it has no tokenizer.json."""
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ModelError(f"{folder} has no tokenizer.json; convert the model with a fast tokenizer first")
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _refuse
        self._template = environment.from_string(template)
        self._bos = bos_token

    def chat(self, message: str) -> str:
        """Render one user turn, ready for the model's reply."""
        messages = [{"role": "user", "content": message}]
        return self._template.render(messages=messages, add_generation_prompt=True, bos_token=self._bos, eos_token="")

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, no special tokens added."""
        return [len(e.ids) for e in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens recognised but none added."""
        return [e.ids for e in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens left out."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def id_of(self, token: str) -> int | None:
        """Id of one token, None when the vocabulary lacks it."""
        return self._tokenizer.token_to_id(token)


def _refuse(message: str) -> None:
    raise ModelError(f"chat template: {message}")
