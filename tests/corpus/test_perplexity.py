import math
import sys
from pathlib import Path

import pytest

from kun.corpus.perplexity import perplexity
from kun.errors import ConfigError, InputError
from kun.project import Project
from kun.tables.shards import read_dataset
from kun.work.engines import load_engine
from tests.made import FAKE, HF, PARAMS, assert_conserved, changed, pinned, prose, store, texts


def test_perplexity_is_the_exponential_of_the_mean_loss(tmp_path: Path, tiny_base: Path) -> None:
    """Against the engine, one text at a time."""
    project = pinned(tmp_path, tiny_base)
    rows = store(project, "decontaminated", texts([*prose(6), "河"]))
    counts = perplexity(project, changed(PARAMS.perplexity, max_tokens=0), HF)
    assert counts is not None
    assert_conserved(project, "perplexity", "perplexity", rows["id"].to_list(), counts)
    model = load_engine(project, HF, None)
    for row, text in zip(read_dataset(project.dataset("perplexity")).iter_rows(named=True), rows["text"], strict=True):
        (loss,) = model.losses([("", text)])
        assert row["n_scored"] == loss.n_tokens == len(text)
        assert row["loss"] == pytest.approx(loss.total / loss.n_tokens, abs=1e-4)
        assert row["ppl"] == pytest.approx(math.exp(loss.total / loss.n_tokens), rel=1e-3)


# By a character model

ARPA = "\n".join(
    [
        "\\data\\", "ngram 1=5", "ngram 2=3", "",
        "\\1-grams:", "-2.0\t<unk>", "-99\t<s>\t-0.5", "-1.0\t</s>", "-0.7\t河\t-0.3", "-0.9\t水\t-0.2", "",
        "\\2-grams:", "-0.4\t<s> 河", "-0.1\t河 水", "-0.6\t水 河", "",
        "\\end\\", "",
    ]
)  # fmt: skip
"""Logarithms to base 10: probability, n-gram, weight of backing off."""

KENLM = changed(PARAMS.perplexity, backend="kenlm", kenlm="models/kenlm", max_tokens=0)


def with_character_model(tmp_path: Path) -> Project:
    folder = tmp_path / "models/kenlm"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("no model")
    (folder / "two.arpa").write_text(ARPA, encoding="utf-8")
    return Project(tmp_path)


def test_a_character_model_scores_characters_in_nats(tmp_path: Path) -> None:
    pytest.importorskip("kenlm")
    project = with_character_model(tmp_path)
    rows = store(project, "decontaminated", texts(["河水", "河 水\n河", "水水", "山河"]))
    counts = perplexity(project, KENLM, FAKE)
    assert counts is not None
    assert_conserved(project, "perplexity", "perplexity", rows["id"].to_list(), counts)
    done = read_dataset(project.dataset("perplexity"))
    expected = [
        [0.4, 0.1],
        [0.4, 0.1, 0.6],  # white space is no token
        [0.5 + 0.9, 0.2 + 0.9],  # neither bigram is known: back off from <s>, then from 水
        [0.5 + 2.0, 0.7],  # an unknown character, and no context behind it
    ]
    assert done["n_scored"].to_list() == [2, 3, 2, 2]
    for loss, ppl, logs in zip(done["loss"], done["ppl"], expected, strict=True):
        assert loss == pytest.approx(math.log(10) * sum(logs) / len(logs), abs=1e-4)
        assert ppl == pytest.approx(math.exp(loss))


def test_a_character_model_scores_leading_characters(tmp_path: Path) -> None:
    pytest.importorskip("kenlm")
    project = with_character_model(tmp_path)
    store(project, "decontaminated", texts(["河水水水水"]))
    perplexity(project, changed(KENLM, max_tokens=2, kenlm="models/kenlm/two.arpa"), FAKE)
    assert read_dataset(project.dataset("perplexity"))["loss"].to_list() == [
        pytest.approx(math.log(10) * 0.25, abs=1e-4)
    ]


def test_helper_ranks_leave_the_character_model_to_the_main_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    store(Project(tmp_path), "decontaminated", texts(["河水"]))
    assert perplexity(Project(tmp_path), KENLM, FAKE) is None


def test_what_is_missing_for_a_character_model_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = with_character_model(tmp_path)
    store(project, "decontaminated", texts(["河水"]))
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(ConfigError, match=r'needs the package kenlm: pip install "kun\[kenlm\]"'):
        perplexity(project, KENLM, FAKE)
    (tmp_path / "models/kenlm/two.arpa").rename(tmp_path / "models/kenlm/two.txt")
    with pytest.raises(InputError, match=r"models/kenlm holds no files of KenLM .*name it in perplexity\.kenlm"):
        perplexity(project, KENLM, FAKE)


def test_a_file_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("kenlm")
    project = with_character_model(tmp_path)
    (tmp_path / "models/kenlm/two.arpa").write_text("no model")
    store(project, "decontaminated", texts(["河水"]))
    with pytest.raises(InputError, match=r"two\.arpa is no model that KenLM can read"):
        perplexity(project, KENLM, FAKE)


def test_only_the_leading_tokens_are_scored(tmp_path: Path, tiny_base: Path) -> None:
    project = pinned(tmp_path, tiny_base)
    store(project, "decontaminated", texts(["河水流过山谷，湖面很宽。", "河水"]))
    perplexity(project, changed(PARAMS.perplexity, max_tokens=4), HF)
    done = read_dataset(project.dataset("perplexity"))
    assert done["n_scored"].to_list() == [4, 2]
    (loss,) = load_engine(project, HF, None).losses([("", "河水流过")])
    assert done["loss"][0] == pytest.approx(loss.total / 4, abs=1e-4)
