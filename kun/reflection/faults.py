"""Rules on what the oracle wrote: a version with a fault is refused before the student sees it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kun.backtranslate.phrases import found
from kun.corpus.language import languages
from kun.corpus.letters import bare
from kun.engine.records import Refusal
from kun.params import Reflection
from kun.reflection.reply import Better

OLD_VERSION = re.compile(
    r"(?:原|旧|上述|上面的?|之前的?|原来的|原始)指令|(?:原|旧|上述|原来的|原始|之前的)(?:回答|答案)"
    r"|the (?:original|old|previous|above) (?:instruction|answer|response)",
    re.IGNORECASE,
)
"""Points to a version that the reader of the finished pair does not have."""
SENTENCE = re.compile(r"[^。！？!?.\n]+")
LEAK_CHARS = 12  # a shorter part of the critique only names the topic


@dataclass(frozen=True)
class Pair:
    """A version as the oracle sees it."""

    instruction: str
    input: str
    output: str

    @property
    def request(self) -> str:
        """Instruction and input as one text, as the published code merges them."""
        return f"{self.instruction}\n{self.input}" if self.input else self.instruction


def without_faults(
    replies: Sequence[Better | Refusal], old: Sequence[Pair], params: Reflection
) -> list[Better | Refusal]:
    """Each version again, or the name of its first fault; refused replies stay as they are.

    Reasons: unchanged, instruction_too_short, instruction_too_long, answer_too_short, mentions_old, critique_leak,
    other_language.
    """
    speaks = _languages(replies, old)
    checked: list[Better | Refusal] = []
    for reply, pair in zip(replies, old, strict=True):
        refusal = reply if isinstance(reply, Refusal) else _fault(reply, pair, params) or _foreign(reply, pair, speaks)
        checked.append(refusal or reply)
    return checked


def _fault(new: Better, old: Pair, params: Reflection) -> Refusal | None:
    asked, answered = len(new.instruction), len(new.answer)
    if _unchanged(new, old):
        return Refusal("unchanged", "")
    if new.instruction and asked < params.min_instruction:
        return Refusal("instruction_too_short", str(asked))
    if asked > params.max_instruction:
        return Refusal("instruction_too_long", str(asked))
    if answered < params.min_answer:
        return Refusal("answer_too_short", str(answered))
    before = f"{old.request}\n{old.output}"
    for text in (new.instruction, new.answer):
        if (phrase := found(OLD_VERSION, text)) and phrase not in before:
            return Refusal("mentions_old", phrase)
    if leak := _leak(new, before):
        return Refusal("critique_leak", leak)
    return None


def _unchanged(new: Better, old: Pair) -> bool:
    """Nothing but punctuation and layout differs in what was to be rewritten."""
    if new.instruction:
        return bare(new.instruction) == bare(old.request)
    return bare(new.answer) == bare(old.output)


def _leak(new: Better, before: str) -> str:
    """A sentence of the critique in the answer that no quotation explains, or ""."""
    for sentence in map(str.strip, SENTENCE.findall(new.critique)):
        if len(sentence) >= LEAK_CHARS and sentence in new.answer and sentence not in f"{before}\n{new.instruction}":
            return sentence
    return ""


def _foreign(new: Better, old: Pair, speaks: dict[str, str]) -> Refusal | None:
    """An instruction in the other script than the old one, or an answer in that of neither; only Chinese or not is asked,
    for a few Latin letters do not tell their language."""

    def chinese(text: str) -> bool:
        return speaks[text] == "zh"

    if new.instruction and chinese(new.instruction) != chinese(old.request):
        return Refusal("other_language", speaks[new.instruction])
    if chinese(new.answer) not in {chinese(old.request), chinese(old.output)}:
        return Refusal("other_language", speaks[new.answer])
    return None


def _languages(replies: Sequence[Better | Refusal], old: Sequence[Pair]) -> dict[str, str]:
    """Text -> its language, of all texts that may be compared."""
    texts = {
        text
        for reply, pair in zip(replies, old, strict=True)
        if not isinstance(reply, Refusal)
        for text in (reply.instruction, reply.answer, pair.request, pair.output)
    }
    ordered = sorted(texts)
    return dict(zip(ordered, languages(ordered), strict=True)) if ordered else {}
