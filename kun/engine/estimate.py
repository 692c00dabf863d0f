"""Prompts and token counts for a server, whose template and tokenizer are its own."""

from collections.abc import Callable, Sequence

from kun.errors import ConfigError

CANNOT_SCORE = "a server cannot score given texts; set losses.model to none, or engine.backend to hf for this stage"
WIDE = "\u2e80"  # from here on: Chinese, Japanese and Korean characters and their punctuation
NARROW_PER_TOKEN = 3


class ServerTokens:
    """Hands messages on as they are; implements `Tokens`."""

    def __init__(self, count: Callable[[Sequence[str]], list[int]]) -> None:
        """`count` measures texts: another model's tokenizer, or `estimated_tokens`."""
        self._count = count

    def chat(self, message: str) -> str:
        """The bare message: the server renders it."""
        return message

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, about."""
        return self._count(texts)

    def begin(self) -> str:
        """ConfigError: only what scores given texts asks for it."""
        raise ConfigError(CANNOT_SCORE)

    def header(self) -> str:
        """ConfigError, as `begin`."""
        raise ConfigError(CANNOT_SCORE)


def estimated_tokens(texts: Sequence[str]) -> list[int]:
    """One token for each wide character and for every three others, rather too many than too few.

    Gemma's tokenizer takes 0.83 for each wide character of the demo's seeds, and one for 3.6 characters of English.
    """
    wide = [sum(character >= WIDE for character in text) for text in texts]
    return [n + -(-(len(text) - n) // NARROW_PER_TOKEN) for n, text in zip(wide, texts, strict=True)]
