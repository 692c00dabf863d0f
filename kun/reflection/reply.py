"""What the oracle replies: a critique, then a better version, between markers or as a JSON record.

Markers are those of the published code, in English and Chinese. The last complete version counts, for a critique may quote
markers; a new instruction and its answer always stand next to each other in one reply.
"""

import json
import re
from dataclasses import dataclass

from kun.engine.records import Refusal, parse_record

CRITIQUE_CHARS = (20, 400)
"""A critique is a chain of thought for the rewrite; small models would leave it out, or fill the reply with it."""
ANSWER_CHARS = 4000
ANY_CHARS = (0, 100_000)  # of a record that no grammar held to its limits; the rules on texts have limits of their own

MARKER = re.compile(
    r"\[(?:(?P<instruction>New Instruction|新指令)|(?P<answer>New Answer|Better Answer|新回答|更好的回答)|(?P<end>End|结束))\]"
)
HEADINGS = {
    "instruction": re.compile(r"^[ \t]*(?:\d\.[ \t]*)?(New Instruction|新指令)[:：]", re.MULTILINE),
    "answer": re.compile(r"^[ \t]*(?:\d\.[ \t]*)?(New Answer|Better Answer|新回答|更好的回答)[:：]", re.MULTILINE),
}
"""What models write instead of the brackets; taken where the reply has no bracketed marker of the kind."""
NEXT_NUMBER = re.compile(r"\s*\n\s*\d[.、]\s*$")
FENCED = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)
PLACEHOLDER = re.compile(
    r"\W*(?:your (?:new |better )?(?:instruction|answer)(?: here)?|(?:its|the) full text|N/?A|none"
    r"|指令全文|回答全文|你的新?(?:指令|回答)|无|略|\.{3,}|…+)\W*",
    re.IGNORECASE,
)
"""What stands in the prompts where the texts belong, and other ways of writing nothing."""


@dataclass(frozen=True)
class Better:
    """A version that the oracle finds better."""

    critique: str
    instruction: str
    """"" where only an answer was asked for."""
    answer: str


def reply_schema(with_instruction: bool, instruction_chars: tuple[int, int], answer_chars: int) -> str:
    """JSON schema of a reply, for a grammar: every text comes to an end, and none before it says something.

    Fewest and most characters of an instruction, fewest of an answer.
    """
    return _schema(with_instruction, CRITIQUE_CHARS, instruction_chars, (answer_chars, max(answer_chars, ANSWER_CHARS)))


def parse_reply(text: str, finish: str, with_instruction: bool) -> Better | Refusal:
    """The better version in a reply, or why there is none.

    Reasons: empty, truncated, not_json, schema, missing_instruction, missing_answer, placeholder, marker_inside.
    """
    if finish == "length":
        return Refusal("truncated", text[-40:])
    if not text.strip():
        return Refusal("empty", "")
    record = parse_record(text, _schema(with_instruction, ANY_CHARS, ANY_CHARS, ANY_CHARS))
    if not isinstance(record, Refusal):
        better = Better(*(record.get(name, "").strip() for name in ("critique", "instruction", "answer")))
    elif _looks_like_json(text):
        return record
    else:
        better = _between_markers(text, with_instruction)
    return _refused(better, with_instruction) or better


def _schema(
    with_instruction: bool, critique: tuple[int, int], instruction: tuple[int, int], answer: tuple[int, int]
) -> str:
    sizes = {"critique": critique, **({"instruction": instruction} if with_instruction else {}), "answer": answer}
    properties = {
        name: {"type": "string", "minLength": fewest, "maxLength": most} for name, (fewest, most) in sizes.items()
    }
    record = {"type": "object", "properties": properties, "required": list(sizes), "additionalProperties": False}
    return json.dumps(record)


def _looks_like_json(text: str) -> bool:
    bare = text.strip()
    return (bare.startswith("{") or bare.startswith("```json")) and not MARKER.search(text)


def _between_markers(text: str, with_instruction: bool) -> Better:
    """The last complete version; parts that are missing are ""."""
    text = _bracketed(_unfenced(text))
    found = list(MARKER.finditer(text))
    borders = [marker.start() for marker in found] + [len(text)]
    instruction, best = "", Better("", "", "")
    for marker, end in zip(found, borders[1:], strict=True):
        body = text[marker.end() : end].strip()
        if marker.lastgroup == "instruction":
            instruction = NEXT_NUMBER.sub("", body)
        elif marker.lastgroup == "answer" and body and (instruction or not with_instruction):
            best = Better(text[: found[0].start()].strip(), instruction if with_instruction else "", body)
            instruction = ""
    return best if best.answer else Better("", instruction, "")


def _unfenced(text: str) -> str:
    """Without a fence of Markdown around the whole."""
    fenced = FENCED.fullmatch(text.strip())
    return fenced[1] if fenced else text


def _bracketed(text: str) -> str:
    kinds = {marker.lastgroup for marker in MARKER.finditer(text)}
    for kind, heading in HEADINGS.items():
        if kind not in kinds:
            text = heading.sub(r"[\1]", text)
    return text


def _refused(better: Better, with_instruction: bool) -> Refusal | None:
    parts = {"instruction": better.instruction, "answer": better.answer}
    for name, text in parts.items() if with_instruction else [("answer", better.answer)]:
        if not text:
            return Refusal(f"missing_{name}", "")
        if PLACEHOLDER.fullmatch(text):
            return Refusal("placeholder", text)
        if marker := MARKER.search(text):
            return Refusal("marker_inside", marker[0])
    return None
