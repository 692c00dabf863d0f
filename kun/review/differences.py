"""What an answer took over from its raw text, and what not: runs of characters, for two texts side by side."""

from rapidfuzz.distance import Indel

LONGEST = 20_000
"""Characters of a text beyond which nothing is compared: it would take seconds."""
SHORTEST = 2
"""Characters in a row that must be alike to count: single ones, of which Chinese has many, meet by chance."""

Run = tuple[str, bool]
"""A piece of a text, and whether the other text has it too, in that order."""


def differences(raw: str, answer: str) -> tuple[list[Run], list[Run]]:
    """Both texts as runs, whose pieces joined are the text again; one run each where a text is empty or too long."""
    if not raw or not answer or max(len(raw), len(answer)) > LONGEST:
        return _whole(raw), _whole(answer)
    left: list[Run] = []
    right: list[Run] = []
    for code in Indel.opcodes(raw, answer):
        here, there = raw[code.src_start : code.src_end], answer[code.dest_start : code.dest_end]
        shared = code.tag == "equal" and len(here) >= SHORTEST
        _add(left, here, shared)
        _add(right, there, shared)
    return left, right


def _whole(text: str) -> list[Run]:
    return [(text, True)] if text else []


def _add(runs: list[Run], piece: str, shared: bool) -> None:
    if piece and runs and runs[-1][1] == shared:
        runs[-1] = (runs[-1][0] + piece, shared)
    elif piece:
        runs.append((piece, shared))
