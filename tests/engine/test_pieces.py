"""Grammars over the kinds of tokenizers that models have: what a token adds to a text must be known to the byte."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from kun.engine.grammar import Grammars
from kun.engine.records import parse_record
from kun.engine.tokens import TokenizerFile
from tests.engine.schemas import SCHEMAS, text_of

TEXTS = [
    "水稻的一生，从种子到收获。",
    '{"学科":"数学","课时":3}',
    "为什么天是蓝的？因为空气。",
    "a quick test 12 345",
] * 9
SPECIAL = ["<unk>", "<bos>", "<eos>"]
UNSEEN = ['{"鑫龘":"😀"}', " 水  a\n", "é\u2028"]


def byte_level() -> Tokenizer:
    """As GPT-2, Qwen and Llama 3."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    return raw


def byte_fallback(space_first: bool) -> Tokenizer:
    """As Gemma, and with a space put before each text as Llama 2 and Yi."""
    raw = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    spaces = normalizers.Replace(" ", "▁")
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if space_first else spaces
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    raw.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)] if space_first else parts)
    tokens = [*SPECIAL, *(f"<0x{value:02X}>" for value in range(256))]
    raw.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=700, special_tokens=tokens))
    # The trainer knows no bytes but as special tokens; models have them as ordinary entries.
    values = json.loads(raw.to_str())
    values["added_tokens"] = [token for token in values["added_tokens"] if token["content"] in SPECIAL]
    return Tokenizer.from_str(json.dumps(values))


KINDS = {
    "byte level": byte_level,
    "byte fallback": lambda: byte_fallback(False),
    "byte fallback, space first": lambda: byte_fallback(True),
}


@pytest.fixture(params=KINDS)
def tokens(request: pytest.FixtureRequest, tmp_path: Path) -> TokenizerFile:
    KINDS[request.param]().save(str(tmp_path / "tokenizer.json"))
    return TokenizerFile(tmp_path, "", "<bos>", "<eos>")


def test_pieces_joined_are_the_text(tokens: TokenizerFile) -> None:
    pieces = tokens.pieces()
    for text in [*TEXTS, *UNSEEN]:
        (ids,) = tokens.encode([text])
        assert b"".join(pieces[index] for index in ids).strip(b" ").decode() == text.strip(" ")
        assert tokens.decode(ids).strip(" ") == text.strip(" ")
    assert [pieces[tokens.id_of(token) or 0] for token in SPECIAL] == [b""] * 3


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_walk_at_random_ends_in_a_valid_record(tokens: TokenizerFile, name: str) -> None:
    """Without a model: at each step any allowed token may come."""
    size, end = len(tokens.pieces()) + 3, tokens.id_of("<eos>")
    assert end is not None
    rows = Grammars(tokens, size, [end]).rows([text_of(SCHEMAS[name])] * 8)
    assert rows is not None
    source = torch.Generator().manual_seed(1)
    written: list[list[int]] = [[] for _ in range(8)]
    active = list(range(8))
    while active:
        logits = torch.zeros(size, len(active)).T
        rows.mask(logits, active, written)
        for row, token in zip(active, logits.softmax(1).multinomial(1, generator=source)[:, 0].tolist(), strict=True):
            written[row].append(token)
        active = [row for row in active if written[row][-1] != end]
    for ids in written:
        assert isinstance(parse_record(tokens.decode(ids), text_of(SCHEMAS[name])), dict), tokens.decode(ids)
