"""Pairs of several sources in one table: what stays of those that ask the same, and of what is too much."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.text import text_id
from kun.errors import InputError
from kun.mix.mix import mix
from kun.mix.source import source
from kun.params import Mix, Source
from kun.project import Project
from kun.schemas.pairs import PAIR
from kun.tables.shards import read_dataset, write_dataset
from tests.made import prose

QUESTIONS = [text[:40] for text in prose(60, seed=4)]


KUN, GLAN = (
    Source("data/pairs", "reports/checks/pairs.json"),
    Source("data/glan/pairs", "reports/glan/checks/pairs.json"),
)


def params(**values: Any) -> Mix:
    given = {"sources": {"kun": KUN, "glan": GLAN}, "caps": {}, "weights": {}, "limit": 0}
    return Mix(**(given | {"dup_threshold": 0.9} | values))


def table(questions: list[str], method: str, **values: Any) -> pl.DataFrame:
    rows = {"id": [text_id(method + question) for question in questions], "instruction": questions, "input": ""}
    same = {"output": "答。", "source": method, "method": method, "licence": "CC0-1.0"}
    empty = {"p_good": None, "copy_rate": None, "support": None}
    return pl.DataFrame(rows | same | empty | values, schema=PAIR)


def mixed(root: Path, settings: Mix, **questions: list[str]) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    project = Project(root)
    for name, asked in questions.items():
        write_dataset(project.dataset(f"sources/{name}"), table(asked, name), PAIR)
    counts = mix(project, settings)
    return read_dataset(project.dataset("mixed")), read_dataset(project.rejects("mix")), counts


def test_of_equal_requests_that_of_the_better_source_stays(tmp_path: Path) -> None:
    same = QUESTIONS[0].replace("，", "。")
    kept, rejects, counts = mixed(tmp_path, params(), glan=[same, QUESTIONS[1]], kun=[QUESTIONS[0], QUESTIONS[2]])
    assert kept["method"].to_list() == ["kun", "kun", "glan"]
    assert rejects.select("reason", "source").rows() == [("near_duplicate", "glan")]
    assert rejects["value"][0] == f"jaccard 1.000 with {text_id('kun' + QUESTIONS[0])}"
    assert counts["by_origin"] == {"kun": 2, "glan": 1}
    turned = params(sources={"glan": GLAN, "kun": KUN})
    assert mixed(tmp_path, turned)[0]["method"].to_list() == ["glan", "glan", "kun"]


def test_a_cap_takes_the_same_rows_whatever_else_there_is(tmp_path: Path) -> None:
    kept, rejects, _ = mixed(tmp_path, params(caps={"glan": 5}), kun=QUESTIONS[:10], glan=QUESTIONS[10:40])
    assert kept["method"].value_counts(sort=True).rows() == [("kun", 10), ("glan", 5)]
    assert set(rejects["reason"]) == {"cap"}
    fewer, _, _ = mixed(tmp_path, params(caps={"glan": 5}), kun=QUESTIONS[:2], glan=QUESTIONS[10:40])
    assert fewer.filter(method="glan").equals(kept.filter(method="glan"))
    assert mixed(tmp_path, params(caps={"glan": 0}))[2]["by_origin"] == {"kun": 2}


def test_weights_say_who_is_drawn(tmp_path: Path) -> None:
    _, rejects, counts = mixed(
        tmp_path, params(limit=20, weights={"glan": 100.0}), kun=QUESTIONS[:30], glan=QUESTIONS[30:]
    )
    assert sum(counts["by_origin"].values()) == 20
    assert counts["by_origin"]["glan"] >= 18
    assert set(rejects["reason"]) == {"limit"}
    none = mixed(tmp_path, params(limit=20, weights={"glan": 0.0}))[2]["by_origin"]
    assert none == {"kun": 20}


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from(QUESTIONS), max_size=20),
    st.lists(st.sampled_from(QUESTIONS), max_size=20),
    st.integers(0, 12),
    st.dictionaries(st.sampled_from(["kun", "glan"]), st.integers(0, 8)),
)
def test_every_row_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, kun: list[str], glan: list[str], limit: int, caps: dict[str, int]
) -> None:
    root = tmp_path_factory.mktemp("mix")
    kept, rejects, counts = mixed(root, params(limit=limit, caps=caps), kun=kun, glan=glan)
    assert counts["rows_in"] == len(kun) + len(glan) == kept.height + rejects.height
    assert kept["id"].is_unique().all()
    assert kept["instruction"].is_unique().all()
    assert not limit or kept.height <= limit
    for name, most in caps.items():
        assert kept.filter(method=name).height <= most


def test_a_source_is_taken_as_it_is(tmp_path: Path) -> None:
    project = Project(tmp_path)
    rows = table(QUESTIONS[:3], "glan")
    write_dataset(tmp_path / "data/glan/pairs", rows, PAIR)
    told = source(project, params(), "glan")
    assert (told["source"], told["rows"]) == ("glan", 3)
    assert json.loads((tmp_path / "reports/sources/glan.json").read_text()) == told
    assert read_dataset(project.dataset("sources/glan")).equals(rows)
    assert source(project, params(), "glan") == told, "the same bytes"
    write_dataset(tmp_path / "data/glan/pairs", rows.with_columns(output=pl.lit("又一答。")), PAIR)
    assert source(project, params(), "glan")["content"] != told["content"], "what mix goes by"


@pytest.mark.parametrize(
    ("column", "told"),
    [({"licence": ""}, "3 rows of data/glan/pairs have no licence"), ({"output": None}, "3 rows .* have no output")],
)
def test_a_source_with_holes_is_refused(tmp_path: Path, column: dict[str, Any], told: str) -> None:
    write_dataset(tmp_path / "data/glan/pairs", table(QUESTIONS[:3], "glan", **column), PAIR)
    with pytest.raises(InputError, match=told):
        source(Project(tmp_path), params(), "glan")


@pytest.mark.parametrize("ids", [["alpaca-17", "alpaca-18"], ["17", "18"], [text_id("").upper(), "f" * 33], [17, 18]])
def test_an_id_by_which_no_row_could_be_drawn_is_refused(tmp_path: Path, ids: list[Any]) -> None:
    rows = table(QUESTIONS[:2], "glan").with_columns(id=pl.Series(ids))
    write_dataset(tmp_path / "data/glan/pairs", rows, dict(rows.schema))
    with pytest.raises(InputError) as caught:
        source(Project(tmp_path), params(), "glan")
    assert str(caught.value) == (
        f"mix.sources: 2 rows of data/glan/pairs have an id that is no hash of 32 hex digits, the first {str(ids[0])!r}; "
        "kun.corpus.text.text_id makes one of a text"
    )


@pytest.mark.parametrize("dtype", [pl.String, pl.Null])
def test_no_input_is_an_empty_one(tmp_path: Path, dtype: Any) -> None:
    """Else a request without input would differ from the same one of another source."""
    project = Project(tmp_path)
    rows = table(QUESTIONS[:3], "glan").with_columns(input=pl.lit(None, dtype))
    write_dataset(tmp_path / "data/glan/pairs", rows, dict(rows.schema))
    source(project, params(), "glan")
    assert read_dataset(project.dataset("sources/glan"))["input"].to_list() == ["", "", ""]


def test_what_is_no_source(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data/pairs", pl.DataFrame({"id": ["a"]}), {"id": pl.String})
    with pytest.raises(InputError, match="data/pairs holds no pairs, for it has no column instruction, input, output"):
        source(Project(tmp_path), params(), "kun")
    with pytest.raises(InputError, match=r"mix\.sources has no source 'wizard'; it has kun, glan"):
        source(Project(tmp_path), params(), "wizard")
    with pytest.raises(ValueError, match="'dynosaur' has a cap or a weight, but is none of the sources"):
        params(caps={"dynosaur": 3})
