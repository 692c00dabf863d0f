"""A real encoder in the format of sentence-transformers, made on the fly, in the place of the base model's hidden states."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from kun.errors import ConfigError, ModelError
from kun.params import Engine
from kun.work.encoders import encoder_fingerprint, locate_encoder
from kun.work.stage import ModelStage
from tests.made import engine, pinned

TEXTS = ["泡茶用多热的水？", "水稻怎样过冬", "茶叶受潮以后还能喝吗？" * 9, "茶"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT with the mean over tokens and unit length; it reads 32 tokens."""
    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({letter for text in TEXTS for letter in text})]
    tokenizer = Tokenizer(models.WordPiece({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    bert = BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=32, **size))
    fast.save_pretrained(folder / "bert")
    bert.save_pretrained(folder / "bert")
    body = Transformer(str(folder / "bert"), max_seq_length=32)
    SentenceTransformer(modules=[body, Pooling(16), Normalize()], device="cpu").save(
        str(folder / "whole"), create_model_card=False
    )
    return folder / "whole"


def encoding(encoder: Path) -> Engine:
    return replace(engine("hf"), embedder=str(encoder))


def test_a_stage_embeds_by_the_encoder_and_not_by_the_base_model(
    tiny_base: Path, tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kun.work.stage.load_engine", lambda *_: pytest.fail("the base model was loaded"))
    found = ModelStage(pinned(tmp_path, tiny_base), "made", encoding(encoder), None).embeddings(TEXTS)
    assert found is not None
    vectors = np.array(found["embedding"].to_list())
    alone = SentenceTransformer(str(encoder), device="cpu", local_files_only=True)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(vector, alone.encode([text])[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_results_of_an_encoder_are_kept_by_its_weights(tiny_base: Path, tmp_path: Path, encoder: Path) -> None:
    project = pinned(tmp_path / "project", tiny_base)
    first = ModelStage(project, "made", encoding(encoder), None).embeddings(TEXTS)
    moved = shutil.copytree(encoder, tmp_path / "moved")
    stage = ModelStage(project, "made", encoding(moved), None)
    assert stage.embeddings(TEXTS).equals(first)  # type: ignore[union-attr]
    assert stage._encoder is None, "it was loaded although every vector is in scratch"
    states = ModelStage(project, "made", engine("hf"), None).embeddings(TEXTS)
    assert states is not None
    assert len(states["embedding"][0]) != 16, "vectors of the encoder were taken for the base model's"


def test_the_fingerprint_sees_weights_and_pooling(tmp_path: Path, encoder: Path) -> None:
    copy = shutil.copytree(encoder, tmp_path / "copy")
    assert encoder_fingerprint(copy) == encoder_fingerprint(encoder)
    (pooling,) = copy.glob("*_Pooling/config.json")
    pooling.write_text(pooling.read_text().replace("mean", "cls"))
    encoder_fingerprint.cache_clear()
    assert encoder_fingerprint(copy) != encoder_fingerprint(encoder)


def test_what_is_no_encoder_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^engine.embedder: nowhere is neither a folder nor a hub id"):
        locate_encoder("nowhere")
    with pytest.raises(ModelError, match=r"^engine.embedder: .* holds no .safetensors weights$"):
        encoder_fingerprint(tmp_path)


def test_texts_that_do_not_fit_into_memory_together_are_embedded_in_halves(
    tiny_base: Path,
    tmp_path: Path,
    encoder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = SentenceTransformer.encode

    def small(self: SentenceTransformer, texts: list[str], **options: Any) -> Any:
        if len(texts) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return own(self, texts, **options)

    monkeypatch.setattr(SentenceTransformer, "encode", small)
    found = ModelStage(pinned(tmp_path, tiny_base), "made", encoding(encoder), None).embeddings(TEXTS)
    assert found is not None and found["embedding"].null_count() == 0
    assert "does not fit into memory; such batches are halved" in capsys.readouterr().err
