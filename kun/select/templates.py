"""How a pair is put to the scorer: the prompt before an answer, and what stands there without one."""

from collections.abc import Callable
from dataclasses import dataclass

from kun.backtranslate.label import label_prompt
from kun.engine.base import Tokens
from kun.errors import ModelError
from kun.params import Losses
from kun.prompts import render
from kun.work.scratch import content_key


@dataclass(frozen=True)
class Published:
    """A template as its authors published it; the answer follows without a space or line break."""

    with_input: str
    without_input: str
    header: str


PUBLISHED = {
    "alpaca": Published(
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n"
        "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:",
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{instruction}\n\n### Response:",
        "### Response:",
    ),
    "wizardlm": Published("{instruction}\n{input}\n\n### Response:", "{instruction}\n\n### Response:", "### Response:"),
    "vicuna": Published(
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
        "and polite answers to the user's questions. USER: {instruction}\n{input} ASSISTANT:",
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
        "and polite answers to the user's questions. USER: {instruction} ASSISTANT:",
        "ASSISTANT:",
    ),
    "bare": Published("{instruction}\n{input}\n", "{instruction}\n", ""),
}


@dataclass(frozen=True)
class Template:
    """One way to ask, by which alone scores compare."""

    name: str
    prompt: Callable[[str, str], str]
    """(instruction, input) -> all that stands before the answer."""
    guess: Callable[[str], str]
    """Answer -> a request to guess its instruction, all that stands before the instruction."""
    direct: str
    """What stands before either without a prompt; "" for nothing."""

    @property
    def label(self) -> str:
        """Name and hash of every text that it can put around a pair."""
        texts = [self.prompt("I", "i"), self.prompt("I", ""), self.guess("A"), self.direct]
        return f"{self.name}-{content_key(texts)[:8]}"


def template_of(params: Losses, tokens: Tokens) -> Template:
    """The template that `params` name, for the model of `tokens`; ModelError when there is nothing to begin with."""
    begin = tokens.begin()
    header, ask = _chat(tokens, params.lang) if params.template == "chat" else _published(params.template, begin)

    def prompt(instruction: str, given: str) -> str:
        text = ask(instruction, given)
        return text.removeprefix(begin) if params.direct_context == "none" else text

    def guess(answer: str) -> str:
        return prompt(label_prompt(answer, params.lang), "")

    direct = {"header": header or begin, "bos": begin, "none": ""}[params.direct_context]
    if not direct and params.direct_context != "none":
        raise ModelError(
            "the scorer's tokenizer names no token that begins or ends a document; set losses.direct_context to none"
        )
    return Template(params.template, prompt, guess, direct)


Ask = Callable[[str, str], str]


def _chat(tokens: Tokens, lang: str) -> tuple[str, Ask]:
    """What stands before a reply without a request, and with one, as the chat model learns it (kun/train/examples.py)."""

    def ask(instruction: str, given: str) -> str:
        return tokens.chat(render("answer", lang, instruction=instruction, input=given))

    return tokens.header(), ask


def _published(name: str, begin: str) -> tuple[str, Ask]:
    published = PUBLISHED[name]

    def ask(instruction: str, given: str) -> str:
        text = published.with_input if given else published.without_input
        return begin + text.format(instruction=instruction, input=given)

    return begin + published.header, ask
