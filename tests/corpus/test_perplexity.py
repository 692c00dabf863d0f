import math
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.perplexity import band_rules, corpus, perplexity
from kun.errors import ConfigError, InputError
from kun.project import Project
from kun.schemas import DATASETS, PERPLEXITY
from kun.tables.rules import split_by_rules
from kun.tables.shards import read_dataset, write_dataset
from kun.work.stage import load_engine
from tests.made import FAKE, HF, PARAMS, assert_conserved, changed, ledger, pinned, prose, reasons, store, texts

BAND = changed(PARAMS.corpus, low_percentile=0.1, high_percentile=0.8, min_rows=5, limit=0)


def scored(project: Project, ppl: list[float | None], sources: list[str] | None = None) -> list[str]:
    """Texts with given perplexities; None: no score. Returns the ids."""
    rows = texts([f"河水{number}" for number in range(len(ppl))])
    rows = rows.with_columns(source=pl.Series(sources or ["made"] * len(ppl), dtype=pl.String))
    store(project, "decontaminated", rows)
    known = [(row, value) for row, value in zip(rows["id"], ppl, strict=True) if value is not None]
    scores = {
        "id": [row for row, _ in known],
        "n_scored": 9,
        "loss": [math.log(value) for _, value in known],
        "ppl": [value for _, value in known],
    }
    store(project, "perplexity", pl.DataFrame(scores, schema=PERPLEXITY))
    return rows["id"].to_list()


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


def test_scores_know_no_threshold(tmp_path: Path, tiny_base: Path) -> None:
    """Moving the band must not touch the model."""
    project = pinned(tmp_path, tiny_base)
    store(project, "decontaminated", texts(prose(40)))
    perplexity(project, PARAMS.perplexity, FAKE)
    before = read_dataset(project.dataset("perplexity"))
    kept = {}
    for high in (0.5, 1.0):
        corpus(project, changed(BAND, high_percentile=high))
        kept[high] = set(read_dataset(project.dataset("corpus"))["id"])
    assert kept[0.5] < kept[1.0]
    assert read_dataset(project.dataset("perplexity")).equals(before)


def test_the_band_is_taken_for_each_source(tmp_path: Path) -> None:
    """A perplexity of 50 is high for news and low for recipes."""
    project = Project(tmp_path)
    ppl = [*range(10, 21), *range(50, 61)]
    ids = scored(project, [float(value) for value in ppl], ["news"] * 11 + ["recipes"] * 11)
    counts = corpus(project, BAND)
    assert_conserved(project, "corpus", "corpus", ids, counts)
    found = reasons(project, "corpus")
    by_value = {value: found.get(row, "") for row, value in zip(ids, ppl, strict=True)}
    for first in (10, 50):
        told = [by_value[value] for value in range(first, first + 11)]
        assert told == ["perplexity_low"] + [""] * 8 + ["perplexity_high"] * 2
    row = ledger(project, "corpus").filter(pl.col("reason") == "perplexity_low").row(0, named=True)
    assert (row["value"], row["threshold"], row["source"]) == ("10.0", "0.1", "news")


def test_a_small_source_keeps_all(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ids = scored(project, [1.0, 5.0, 999.0, 7.0])
    assert corpus(project, BAND)["kept"] == 4
    assert corpus(project, changed(BAND, min_rows=4))["reasons"] == {"perplexity_high": 1}
    assert reasons(project, "corpus") == {ids[2]: "perplexity_high"}


def test_a_text_without_score_goes_whatever_its_source(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ids = scored(project, [1.0, None, 3.0])
    corpus(project, BAND)
    assert reasons(project, "corpus") == {ids[1]: "perplexity_unknown"}


def test_the_limit_counts_rows_that_pass_in_id_order(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ids = scored(project, [float(value) for value in range(10, 30)])
    corpus(project, BAND)
    inside = set(read_dataset(project.dataset("corpus"))["id"])
    assert 5 < len(inside) < len(ids)
    counts = corpus(project, changed(BAND, limit=5))
    assert read_dataset(project.dataset("corpus"))["id"].to_list() == [i for i in ids if i in sorted(inside)[:5]]
    assert counts["reasons"]["limit"] == len(inside) - 5


def test_rows_without_score_take_no_place_in_the_limit(tmp_path: Path) -> None:
    project = Project(tmp_path)
    scored(project, [1.0, None, None, 4.0, 5.0, 6.0])
    assert corpus(project, changed(BAND, min_rows=20, limit=3))["kept"] == 3


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.none() | st.floats(1, 1e6), max_size=30),
    st.sampled_from([(0.0, 1.0), (0.1, 0.9), (0.4, 0.5)]),
    st.integers(0, 10),
)
def test_every_text_goes_one_way_and_order_stays(
    ppl: list[float | None], band: tuple[float, float], limit: int
) -> None:
    frame: Any = texts([f"河{number}" for number in range(len(ppl))]).with_columns(ppl=pl.Series(ppl, dtype=pl.Float64))
    params = changed(BAND, low_percentile=band[0], high_percentile=band[1], limit=limit)
    split = split_by_rules(frame, band_rules(params))
    assert split.kept.height + split.dropped.height == len(ppl)
    assert split.kept["id"].to_list() == [row for row in frame["id"] if row in set(split.kept["id"])]
    passed = split.kept.height + split.dropped.filter(pl.col("reason") == "limit").height
    assert split.kept.height == (min(limit, passed) if limit else passed)
    if band == (0.0, 1.0) and not limit:
        assert split.dropped.filter(pl.col("ppl").is_not_null()).is_empty()


def test_a_heavy_source_is_drawn_more_readily(tmp_path: Path, tiny_base: Path) -> None:
    project = pinned(tmp_path, tiny_base)
    n_texts = 400
    store(project, "decontaminated", texts([f"河{number}" for number in range(n_texts)]))
    rows = read_dataset(project.dataset("decontaminated"))
    half = pl.int_range(pl.len()) < n_texts // 2
    named = rows.with_columns(source=pl.when(half).then(pl.lit("news/sport")).otherwise(pl.lit("wiki")))
    write_dataset(project.dataset("decontaminated"), named, DATASETS["decontaminated"])
    perplexity(project, PARAMS.perplexity, FAKE)
    all_in = changed(BAND, low_percentile=0.0, high_percentile=1.0, limit=100)

    def drawn(weights: dict[str, float]) -> dict[str, int]:
        counts = corpus(project, changed(all_in, weights=weights))
        assert counts["kept"] == 100
        return {source: told["kept"] for source, told in counts["by_source"].items()}

    equal, heavy = drawn({}), drawn({"news": 9.0})
    assert equal == drawn({"news": 2.0, "wiki": 2.0})
    assert 35 <= equal["wiki"] <= 65
    assert heavy["wiki"] <= 20
