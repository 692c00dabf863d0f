"""Tokenizer and chat template without torch: counting and rendering for the stages that load no weights."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox
import tokenizers

from kun.errors import ModelError

BYTE_TOKEN = re.compile("<0x[0-9A-F]{2}>")
USER, SYSTEM = {"role": "user", "content": "你好"}, {"role": "system", "content": "你好"}


def _byte_letters() -> dict[str, int]:
    """Letter -> byte in vocabularies of GPT-2's kind: bytes without a printable letter take those from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = sorted(set(range(256)) - set(printable))
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


BYTES = _byte_letters()


class TokenizerFile:
    """A `tokenizer.json` and a chat template; implements `Tokens`.

    The template sees the same variables as in transformers (`messages`, `add_generation_prompt`, `bos_token`, ...), in
    the same kind of sandbox, so both render the same text. The one exception is `strftime_now`: a date would change the
    prompts from day to day.
    """

    def __init__(self, folder: Path, template: str, bos_token: str, eos_token: str = "") -> None:
        """Load from a model folder; ModelError when it has no tokenizer.json, or when the template is broken."""
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ModelError(f"{folder} has no tokenizer.json; convert the model with a fast tokenizer first")
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers has no narrower type
            raise ModelError(f"{path} cannot be read ({error}); fetch or save the model again") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._special = {"bos_token": bos_token, "eos_token": eos_token}
        try:
            self._template = _environment().from_string(template)
            self._template.globals = dict(self._template.globals)  # copied at each rendering; a ChainMap takes 50 µs
        except jinja2.TemplateError as error:
            raise _broken(error) from None

    def chat(self, message: str) -> str:
        """Render one user turn, ready for the model's reply."""
        return self._render([{"role": "user", "content": message}], ready=True)

    def begin(self) -> str:
        """The token that begins a document, else the one that ends it."""
        return self._special["bos_token"] or self._special["eos_token"]

    def header(self) -> str:
        """What the template puts before a reply that nobody asked for; "" when nothing.

        The beginning of the document, a system turn by default, and what says whose turn it is: "<bos>### 回答：", say.
        """
        turn, ready = self._render([USER], ready=False), self._render([USER], ready=True)
        return self._opening(turn) + (ready.removeprefix(turn) if ready.startswith(turn) else "")

    def _opening(self, turn: str) -> str:
        """What stands before the user's turn in `turn`; a system turn that is stated shows where that begins."""
        begin = self._special["bos_token"]
        opening = begin if turn.startswith(begin) else ""
        try:
            stated, both = self._render([SYSTEM], ready=False), self._render([SYSTEM, USER], ready=False)
        except ModelError:  # many templates refuse system turns, and so have none
            return opening
        user = both.removeprefix(stated)
        return turn.removesuffix(user) if user and both.startswith(stated) and turn.endswith(user) else opening

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, no special tokens added."""
        return [len(e.ids) for e in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens recognised but none added."""
        return [e.ids for e in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens left out."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def pieces(self) -> list[bytes]:
        """What each token adds to a text, by id; b"" for special tokens. Bytes: a token may hold part of a character."""
        decoder, added = self._tokenizer.decoder, self._tokenizer.get_added_tokens_decoder()
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        kind = repr(decoder)
        pieces = [b""] * (1 + max(vocabulary.values()))
        for token, index in vocabulary.items():
            if index in added and added[index].special:
                continue
            if "ByteLevel(" in kind and BYTES.keys() >= set(token):
                pieces[index] = bytes(BYTES[letter] for letter in token)
            elif "ByteFallback(" in kind and BYTE_TOKEN.fullmatch(token):
                pieces[index] = bytes.fromhex(token[3:5])
            else:  # behind a letter, for some decoders treat the first token of a text in another way
                pieces[index] = decoder.decode(["a", token])[1:].encode() if decoder else token.encode()
        return pieces

    def _render(self, messages: Sequence[Mapping[str, str]], ready: bool) -> str:
        try:
            return self._template.render(
                messages=messages, add_generation_prompt=ready, tools=None, documents=None, **self._special
            )
        except jinja2.TemplateError as error:
            raise _broken(error) from None

    def id_of(self, token: str) -> int | None:
        """Id of one token, None when the vocabulary lacks it."""
        return self._tokenizer.token_to_id(token)


class _Learned(jinja2.ext.Extension):
    """`{% generation %}` marks what a model learns; for rendering it means nothing."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it)

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        """The statements inside, as if they stood outside."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Learned]
    )
    environment.globals["raise_exception"] = _refuse
    environment.filters["tojson"] = _json
    return environment


def _json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    """As in transformers: jinja's own filter escapes HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _broken(error: jinja2.TemplateError) -> ModelError:
    return ModelError(f"chat template: {' '.join(str(error).split())}")
