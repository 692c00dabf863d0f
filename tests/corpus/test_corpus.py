import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.corpus import band_rules, corpus, within_limit
from kun.corpus.perplexity import perplexity
from kun.params import Corpus
from kun.project import Project
from kun.schemas.corpus import PERPLEXITY
from kun.schemas.datasets import DATASETS
from kun.tables.rules import split_by_rules
from kun.tables.shards import read_dataset, write_dataset
from tests.made import FAKE, PARAMS, assert_conserved, changed, ledger, pinned, prose, reasons, store, texts

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


def choose(project: Project, params: Corpus) -> dict[str, Any]:
    counts = corpus(project, params, FAKE)
    assert counts is not None
    return counts


def test_scores_know_no_threshold(tmp_path: Path, tiny_base: Path) -> None:
    """Moving the band must not touch the model."""
    project = pinned(tmp_path, tiny_base)
    store(project, "decontaminated", texts(prose(40)))
    perplexity(project, PARAMS.perplexity, FAKE)
    before = read_dataset(project.dataset("perplexity"))
    kept = {}
    for high in (0.5, 1.0):
        choose(project, changed(BAND, high_percentile=high))
        kept[high] = set(read_dataset(project.dataset("corpus"))["id"])
    assert kept[0.5] < kept[1.0]
    assert read_dataset(project.dataset("perplexity")).equals(before)


def test_the_band_is_taken_for_each_source(tmp_path: Path) -> None:
    """A perplexity of 50 is high for news and low for recipes."""
    project = Project(tmp_path)
    ppl = [*range(10, 21), *range(50, 61)]
    ids = scored(project, [float(value) for value in ppl], ["news"] * 11 + ["recipes"] * 11)
    counts = choose(project, BAND)
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
    assert choose(project, BAND)["kept"] == 4
    assert choose(project, changed(BAND, min_rows=4))["reasons"] == {"perplexity_high": 1}
    assert reasons(project, "corpus") == {ids[2]: "perplexity_high"}


def test_a_text_without_score_goes_whatever_its_source(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ids = scored(project, [1.0, None, 3.0])
    choose(project, BAND)
    assert reasons(project, "corpus") == {ids[1]: "perplexity_unknown"}


def test_the_limit_counts_rows_that_pass_in_id_order(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ids = scored(project, [float(value) for value in range(10, 30)])
    choose(project, BAND)
    inside = set(read_dataset(project.dataset("corpus"))["id"])
    assert 5 < len(inside) < len(ids)
    counts = choose(project, changed(BAND, limit=5))
    assert read_dataset(project.dataset("corpus"))["id"].to_list() == [i for i in ids if i in sorted(inside)[:5]]
    assert counts["reasons"]["limit"] == len(inside) - 5


@pytest.mark.parametrize("weights", [{}, {"news": 3.0}], ids=["equal", "weighted"])
def test_a_text_outside_the_limit_is_told_its_place_whatever_the_order_of_the_rows(
    tmp_path: Path, weights: dict[str, float]
) -> None:
    project = Project(tmp_path)
    ids = scored(project, [10.0] * 20, ["news", "wiki"] * 10)
    told = []
    for seed in (None, 1):
        rows = read_dataset(project.dataset("decontaminated"))
        store(project, "decontaminated", rows if seed is None else rows.sample(fraction=1.0, shuffle=True, seed=seed))
        choose(project, changed(BAND, limit=5, weights=weights))
        left = ledger(project, "corpus")
        assert left["threshold"].unique().to_list() == ["5"]
        told.append(dict(left.select("id", "value").iter_rows()))
    assert told[0] == told[1]
    assert sorted(map(int, told[0].values())) == list(range(6, 21)), "five are before the first of them"
    if not weights:
        assert sorted(told[0], key=lambda row: int(told[0][row])) == sorted(ids)[5:]


def test_rows_without_score_take_no_place_in_the_limit(tmp_path: Path) -> None:
    project = Project(tmp_path)
    scored(project, [1.0, None, None, 4.0, 5.0, 6.0])
    assert choose(project, changed(BAND, min_rows=20, limit=3))["kept"] == 3


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
    inside = split_by_rules(frame, band_rules(params))
    sample = within_limit(inside.kept, params)
    assert sample.kept.height + sample.dropped.height + inside.dropped.height == len(ppl)
    assert sample.kept["id"].to_list() == [row for row in frame["id"] if row in set(sample.kept["id"])]
    assert sample.kept.height == (min(limit, inside.kept.height) if limit else inside.kept.height)
    if band == (0.0, 1.0):
        assert inside.dropped.filter(pl.col("ppl").is_not_null()).is_empty()


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
        counts = choose(project, changed(all_in, weights=weights))
        assert counts["kept"] == 100
        return {source: told["kept"] for source, told in counts["by_source"].items()}

    equal, heavy = drawn({}), drawn({"news": 9.0})
    assert equal == drawn({"news": 2.0, "wiki": 2.0})
    assert 35 <= equal["wiki"] <= 65
    assert heavy["wiki"] <= 20


# Texts that say the same


def test_what_an_earlier_text_says_goes_before_the_sample_is_drawn(tmp_path: Path, tiny_base: Path) -> None:
    """The fake model gives equal texts equal embeddings, and all others different ones."""
    project = pinned(tmp_path, tiny_base)
    rows = store(project, "decontaminated", texts(["河水", "山谷", "河水", "湖面", "河水"]))
    ids = rows["id"].to_list()
    perplexity(project, PARAMS.perplexity, FAKE)
    once = changed(BAND, min_rows=100, semantic_threshold=0.99)
    counts = choose(project, once)
    assert_conserved(project, "corpus", "corpus", ids, counts)
    assert reasons(project, "corpus") == {ids[2]: "semantic_duplicate", ids[4]: "semantic_duplicate"}
    told = ledger(project, "corpus").row(0, named=True)
    assert (told["value"], told["threshold"]) == (f"cosine 1.000 with {ids[0]}", "0.99")
    assert choose(project, changed(once, limit=2))["reasons"] == {"semantic_duplicate": 2, "limit": 1}


def test_embeddings_outlive_a_moved_threshold(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = pinned(tmp_path, tiny_base)
    store(project, "decontaminated", texts(prose(6)))
    perplexity(project, PARAMS.perplexity, FAKE)
    choose(project, changed(BAND, semantic_threshold=0.9))
    monkeypatch.setattr("kun.work.stage.load_engine", None)
    choose(project, changed(BAND, semantic_threshold=0.8))


def test_the_model_is_asked_only_on_request(tmp_path: Path) -> None:
    project = Project(tmp_path)
    scored(project, [1.0, 2.0])
    assert choose(project, changed(BAND, semantic_threshold=0.0))["kept"] == 2, "without models/base.json"


def test_helper_ranks_leave_the_choice_to_the_main_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    scored(Project(tmp_path), [1.0, 2.0])
    assert corpus(Project(tmp_path), BAND, FAKE) is None
    assert not Project(tmp_path).dataset("corpus").exists()


def test_no_text_at_all_is_no_fault(tmp_path: Path, tiny_base: Path) -> None:
    project = pinned(tmp_path, tiny_base)
    scored(project, [])
    assert choose(project, changed(BAND, semantic_threshold=0.9))["rows_in"] == 0
