"""What a server's chat reply says: pure functions from its JSON body."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kun.engine.base import Completion, Failure

Reply = Mapping[str, Any]
"""The body of a reply to /v1/chat/completions."""


class MalformedReply(Exception):
    """A reply that does not say what it was asked; another try may bring a better one."""

    def __init__(self, detail: str, reason: str = "malformed_reply") -> None:
        super().__init__(detail)
        self.reason = reason


def only_choice(reply: Any) -> Mapping[str, Any]:
    """The one choice of a reply to a request for one; raises MalformedReply."""
    choices = reply.get("choices") if isinstance(reply, Mapping) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        raise MalformedReply(f"{len(choices) if isinstance(choices, list) else 'no'} choices instead of one")
    choice: Mapping[str, Any] = choices[0]
    if choice.get("index") not in (0, None):
        raise MalformedReply(f"choice number {choice['index']} instead of 0")
    if not isinstance(choice.get("message"), Mapping):
        raise MalformedReply("a choice without message")
    return choice


def tokens_of(reply: Reply) -> tuple[int, int] | None:
    """Tokens of prompt and of reply as the server counts them, None when it does not say."""
    usage = reply.get("usage")
    if not isinstance(usage, Mapping):
        return None
    counts = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return (counts[0], counts[1]) if isinstance(counts[0], int) and isinstance(counts[1], int) else None


def completion(reply: Reply, count: Callable[[str], int]) -> Completion | Failure:
    """The text and why it ended; raises MalformedReply. `count` is asked for tokens that the server does not count."""
    choice = only_choice(reply)
    finish, text = choice.get("finish_reason"), choice["message"].get("content")
    if finish == "content_filter":
        return Failure("content_filter", "the server holds the reply back")
    if finish not in ("stop", "length"):
        raise MalformedReply(f"finish_reason {finish!r}", "wrong_finish")
    if not isinstance(text, str):
        raise MalformedReply(f"content is {text!r:.80}")
    text = text.strip()
    counts = tokens_of(reply)
    return Completion(text, finish if text else "empty", counts[1] if counts else count(text))


def beginnings(choices: Sequence[str]) -> list[bytes]:
    """Each choice up to the character that tells it from all others, as UTF-8: tokens may end inside a character."""

    def common(left: str, right: str) -> int:
        same = (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b)
        return next(same, min(len(left), len(right)))

    return [
        one[: 1 + max((common(one, other) for place, other in enumerate(choices) if place != own), default=len(one))]
        .encode()
        for own, one in enumerate(choices)
    ]  # fmt: skip


def first_log_probabilities(reply: Reply, wanted: Sequence[bytes]) -> list[float] | Failure:
    """Log-probability (nats) that the reply begins with each of `wanted`, along the reply that was written.

    A token counts when it completes one of them behind what was written so far; white space in front is form. One that
    no listed token completes gets the log-probability of the least likely token that is listed, which is above its own.
    When none is completed the reply begins in another way, and nothing can be said. Raises MalformedReply.
    """
    written, weight = b"", 0.0
    found = [-math.inf] * len(wanted)
    for position in positions(reply):
        listed = {_bytes(token): token["logprob"] for token in [*position["top_logprobs"], position]}
        for token, value in listed.items():
            text = (written + token).lstrip()
            found = [
                _either(one, weight + value) if text.startswith(beginning) else one
                for one, beginning in zip(found, wanted, strict=True)
            ]
        floor = weight + min(listed.values())
        written, weight = (written + _bytes(position)).lstrip(), weight + position["logprob"]
        if not any(beginning.startswith(written) and beginning != written for beginning in wanted):
            break
    if max(found) == -math.inf:
        return Failure("no_choice", f"the reply begins {written.decode(errors='replace')!r}")
    return [max(one, floor) if one == -math.inf else one for one in found]


def positions(reply: Reply) -> list[Any]:
    """Tokens of the reply with the likeliest at each place; raises MalformedReply when the server does not tell them."""
    told = only_choice(reply).get("logprobs")
    content = told.get("content") if isinstance(told, Mapping) else None
    if not isinstance(content, list) or not content:
        raise MalformedReply("no log-probabilities")
    for token in content:
        if not _is_token(token) or not isinstance(tops := token.get("top_logprobs"), list) or not tops:
            raise MalformedReply("log-probabilities without top_logprobs")
        if not all(_is_token(top) for top in tops):
            raise MalformedReply("top_logprobs without token or logprob")
    return content


def _is_token(token: Any) -> bool:
    if not isinstance(token, Mapping) or not isinstance(token.get("logprob"), int | float):
        return False
    given = token.get("bytes") or []
    return isinstance(token.get("token"), str) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in given)


def _bytes(token: Mapping[str, Any]) -> bytes:
    """A token that ends inside a character has no text of its own, so `bytes` counts where it is given."""
    given = token.get("bytes")
    return bytes(given) if isinstance(given, list) else str(token["token"]).encode()


def _either(left: float, right: float) -> float:
    """log(exp(left) + exp(right))."""
    high, low = max(left, right), min(left, right)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
