"""Texts that models write: cleaned, or refused with a reason. A weak teacher goes round in circles or leaves the language."""

import re

import polars as pl

from kun.backtranslate import phrases
from kun.backtranslate.measures import repeated_unit
from kun.corpus.letters import bare
from kun.corpus.text import cjk_share, normalise
from kun.engine.records import Refusal

ENDS = "。？！?!."
"""What a question ends with."""
MOST_REPEATS = 5
"""Of a unit in a row, as in `pairs.max_repeats`."""
CHINESE = 0.3
"""Share of ideographs among letters, from which a text is Chinese: terms, formulas and code stand in it too. A choice."""
COUNTED = re.compile(r"^(?:[(（]?\d{1,2}(?:[)）]|[、:：](?!\d)|[.．](?=\s|[^\x00-\x7f]))\s*|[①-⑳•]\s*|[*-]\s+)")
"""The number or sign of a list before a name; not the one of 2.4 GHz."""
_LABEL = re.compile(r"^(?:问题|题目|问|question|q)\s*\d*\s*[:：.、]\s*", re.IGNORECASE)


def standing_alone(question: str, shortest: int, lang: str) -> str | Refusal:
    """The question without a label before it; one that stands alone, in the language of the prompts."""
    question = _LABEL.sub("", COUNTED.sub("", normalise(question).strip())).strip()
    if len(question) < shortest:
        return Refusal("too_short", question)
    for reason, pattern in (
        ("template_marker", phrases.TEMPLATE_MARKERS),
        ("refusal", phrases.REFUSALS),
        ("dangling_reference", phrases.DANGLING),
    ):
        if found := phrases.found(pattern, question):
            return Refusal(reason, found)
    if unit := repeated_unit(question, MOST_REPEATS):
        return Refusal("repetition", unit)
    if _is_chinese(question) != (lang == "zh"):
        return Refusal("other_language", question)
    return question if question[-1] in ENDS else Refusal("no_end", question[-20:])


def read_answer(question: str, text: str, finish: str) -> str | Refusal:
    """The answer; not one that was cut, is empty, says the question again or goes round in circles."""
    answer = normalise(text)
    if finish == "length":
        return Refusal("cut", answer[-40:])
    if not answer:
        return Refusal("empty", "")
    if unit := repeated_unit(answer, MOST_REPEATS):
        return Refusal("repetition", unit)
    return Refusal("echo", answer) if bare(answer) == bare(question) else answer


def whole_lines(text: str, finish: str) -> str | Refusal:
    """A free text without its last line when that was cut; one line that was cut is kept, for a list may stand in one."""
    lines = normalise(text).splitlines()
    if finish == "length" and len(lines) > 1:
        lines = lines[:-1]
    kept = "\n".join(lines).strip()
    if not kept:
        return Refusal("empty", "")
    unit = repeated_unit(kept, MOST_REPEATS)
    return Refusal("repetition", unit) if unit else kept


def _is_chinese(text: str) -> bool:
    return bool(pl.select(cjk_share(pl.lit(text))).item() >= CHINESE)
