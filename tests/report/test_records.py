import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.project import Project
from kun.report.duplicates import duplicates
from kun.report.judge import curves
from kun.report.lazily import rows_at, spread
from kun.report.pictures import clipped
from kun.report.records import A_REASON, EXCERPT, as_json, dropped_rows, reasons, released_rows, within
from kun.schemas.rejects import REJECT
from kun.schemas.select import SELECTED
from kun.tables.shards import write_dataset
from kun.terminal import display_width


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_in_a_page_says_the_same_and_cannot_end_its_element(value: object) -> None:
    told = as_json(value)
    assert json.loads(told) == value
    assert not set(told) & set("<>&\u2028\u2029")


def test_a_lone_surrogate_does_not_stop_the_report() -> None:
    assert json.loads(as_json("好\ud800")) == "好?"


@given(st.lists(st.text(max_size=40), max_size=60), st.integers(0, 3000))
def test_rows_fit_the_budget(texts: list[str], budget: int) -> None:
    rows = [{"text": text} for text in texts]
    kept = within(rows, budget)
    assert sum(len(as_json(row).encode()) + 1 for row in kept) <= budget or kept == []
    if sum(len(as_json(row).encode()) + 1 for row in rows) <= budget:
        assert kept == rows


def test_places_are_spread_evenly() -> None:
    assert spread(3, 5) == [0, 1, 2]
    assert spread(100, 4) == [0, 25, 50, 75]
    assert rows_at(pl.LazyFrame({"a": ["w", "x", "y", "z"]}), [2, 0])["a"].to_list() == ["w", "y"]


def ledger(project: Project, stage: str, rows: list[tuple[str, str]]) -> None:
    """Rows of (reason, value)."""
    table = [
        [f"{stage}{place}", stage, "dropped", reason, value, "1", f"s{place % 2}", f"文{place}"]
        for place, (reason, value) in enumerate(rows)
    ]
    write_dataset(project.rejects(stage), pl.DataFrame(table, schema=REJECT, orient="row"), REJECT)


def test_rows_of_every_reason(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ledger(project, "clean", [("spam", "9")] * 50 + [("rare", "1")])
    ledger(project, "pairs", [("short", "2")])
    shown = dropped_rows(project)
    tally = [(row["stage"], row["reason"]) for row in shown]
    assert tally.count(("clean", "spam")) == A_REASON and tally.count(("clean", "rare")) == 1
    assert [row["stage"] for row in shown] == sorted(row["stage"] for row in shown), "in the order of the pipeline"
    assert reasons(project).rows() == [
        ("clean", "dropped", "spam", 50),
        ("clean", "dropped", "rare", 1),
        ("pairs", "dropped", "short", 1),
    ]


def test_texts_are_cut_and_say_so(tmp_path: Path) -> None:
    project = Project(tmp_path)
    known = {"id": "a", "instruction": "问", "input": None, "output": "答" * 5000, "source": "s", "p_good": 0.123456}
    row = {name: [known.get(name)] for name in SELECTED}
    write_dataset(project.dataset("selected"), pl.DataFrame(row, schema=SELECTED), SELECTED)
    (shown,) = released_rows(project)
    assert shown["output"] == "答" * EXCERPT + "…" and shown["instruction"] == "问"
    assert (shown["input"], shown["text"], shown["p_good"]) == (None, None, 0.1235)


def test_clusters_by_size_with_the_similarity_of_their_rows(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert duplicates(project) is None
    near = [("near_duplicate", f"jaccard 0.9{place} with big") for place in range(6)]
    ledger(project, "dedup", [("exact_duplicate", "same as small"), *near, ("other", "no id here")])
    found = duplicates(project)
    assert found is not None
    assert (found.rows, found.clusters) == (7, 2)
    big, small = found.largest
    assert (big.kept, big.size, big.sources, len(big.members), big.text) == ("big", 6, 2, 5, None)
    assert [row["similarity"] for row in big.members] == [0.90, 0.91, 0.92, 0.93, 0.94]
    assert small.members[0]["similarity"] == 1.0 and small.members[0]["excerpt"] == "文0"
    assert found.similarity.len() == 6


def test_the_curves_of_a_judge_by_hand() -> None:
    points = [(0.0, 1.0, 1.0), (0.5, 0.8, 0.2), (1.0, 0.0, 0.0)]
    curve = [dict(zip(("threshold", "recall", "false_rate"), point, strict=True)) for point in points]
    found = curves({"auc": 0.8, "curve": curve})
    assert found.precision == [(0.0, 0.5), (0.5, 0.8)], "at 1 nothing passes"
    assert found.roc == [(0.0, 0.0), (0.2, 0.8), (1.0, 1.0)]
    assert found.reliability == [], "tenths that were not asked for"
    assert (found.auc, found.low) == (0.8, None)


def test_a_sure_judge_lies_on_the_line() -> None:
    def above(at: float) -> tuple[float, float]:
        return 1 - at**2, (1 - at) ** 2  # densities 2p of good and 2(1 - p) of spoilt ones

    curve = [
        dict(zip(("recall", "false_rate"), above(at / 20), strict=True)) | {"threshold": at / 20} for at in range(21)
    ]
    for p_good, share in curves({"curve": curve}).reliability:
        assert share == pytest.approx(p_good)


@given(st.text())
def test_names_beside_bars_fit(name: str) -> None:
    assert display_width(clipped(name)) <= 17
