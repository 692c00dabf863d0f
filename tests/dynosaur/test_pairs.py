import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kun.corpus.evals import EvalGrams
from kun.dynosaur.pairs import input_text, pairs
from kun.dynosaur.tasks import tasks
from kun.project import Project
from kun.tables.shards import read_dataset
from tests.dynosaur.conftest import BIRDS
from tests.dynosaur.made_datasets import params
from tests.made import ledger, store

NOTHING = EvalGrams([], 13)


def made(project: Project, evals: EvalGrams = NOTHING, **values: Any) -> pl.DataFrame:
    tasks(project, params())
    counts = pairs(project, params(**values), evals)
    rows = read_dataset(project.dataset("dynosaur/pairs"))
    assert counts["rows_in"] == counts["kept"] + counts["dropped"]
    assert counts["licences"] == dict(rows.group_by("licence").len().sort("licence").iter_rows())
    return rows


def set_rows(project: Project, source: str, rows: list[dict[str, Any]]) -> None:
    """Other rows of a dataset."""
    table = read_dataset(project.dataset("dynosaur/datasets"))
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    lists = [texts if row["name"] == source else row["rows"] for row in table.iter_rows(named=True)]
    store(project, "dynosaur/datasets", table.with_columns(rows=pl.Series(lists, dtype=pl.List(pl.String))))


def test_tasks_are_filled_with_their_rows(answered: Project) -> None:
    rows = made(answered)
    assert rows.height == 3 * 6 + 5
    assert set(rows["method"]) == {"dynosaur"}
    assert rows["id"].n_unique() == rows.height
    birds = rows.filter(source="birds").sort("input").row(0, named=True)
    assert (birds["input"], birds["output"]) == ("bird 0", "It has 0 white feathers.")
    assert (birds["licence"], birds["origin"]) == ("cc-by-4.0", "https://example.org")
    assert birds["p_good"] is None
    assert "样子：“红色，脆甜”。类别：“水果”。" in rows["input"].to_list()


def test_acceptance_6_no_row_is_empty_too_long_or_without_licence(answered: Project) -> None:
    long = [{"名称": "长" * 50, "样子": "短", "类别": "水果"}, {"名称": " ", "样子": None, "类别": "蔬菜"}]
    set_rows(
        answered, "fruit", [*long, *({"名称": f"果{n}", "样子": f"样{n}", "类别": "果菜"[n % 2]} for n in range(8))]
    )
    rows = made(answered, max_chars=20, max_instances_per_task=3)
    assert rows.filter((pl.col("input") == "") | (pl.col("output") == "") | (pl.col("licence") == "")).is_empty()
    assert rows.select(pl.max_horizontal(pl.col("input", "output").str.len_chars())).to_series().max() <= 20  # type: ignore[operator]
    assert rows.group_by("task").len()["len"].max() == 3
    assert {"output_too_long", "empty_input", "empty_output", "limit"} <= set(
        ledger(answered, "dynosaur/pairs")["reason"]
    )


def test_the_cap_takes_the_same_rows_whatever_their_order(answered: Project) -> None:
    before = made(answered, max_instances_per_task=2)
    table = read_dataset(answered.dataset("dynosaur/datasets"))
    store(answered, "dynosaur/datasets", table.with_columns(pl.col("rows").list.reverse()))
    assert set(made(answered, max_instances_per_task=2)["id"]) == set(before["id"])


def test_a_card_alone_gives_no_pairs(answered: Project) -> None:
    set_rows(answered, "birds", [])
    assert made(answered).filter(source="birds").is_empty()
    assert ledger(answered, "dynosaur/pairs")["reason"].to_list() == ["no_rows"]


def test_equal_pairs_and_evaluation_items_go(answered: Project) -> None:
    heron = {"name": "heron", "look": "It stands on one leg in the shallow water."}
    set_rows(answered, "birds", [heron, heron, heron, *BIRDS])
    assert made(answered).filter(source="birds").height == 1 + len(BIRDS)
    assert ledger(answered, "dynosaur/pairs")["reason"].to_list() == ["duplicate"] * 2
    evals = EvalGrams([("quiz:1", "It stands on one leg in the shallow water.")], 13)
    assert made(answered, evals).filter(source="birds").height == len(BIRDS)
    assert "contaminated" in set(ledger(answered, "dynosaur/pairs")["reason"])


ROW = {"text": " a ", "n": 3, "tags": ["x", "y"], "answer_choices": ["no", "yes"], "deep": [{"a": 1}], "none": None}


@pytest.mark.parametrize(
    ("fields", "lang", "expected"),
    [
        (["text"], "en", ("a", "")),
        (["text", "n"], "en", ("text is 'a'. n is '3'.", "")),
        (["text", "n"], "zh", ("text：“a”。n：“3”。", "")),
        (["tags"], "en", ('"x", "y"', "")),
        (["tags"], "zh", ("“x”、“y”", "")),
        (["answer_choices"], "en", ("A. no B. yes", "")),
        (["text", "none"], "en", ("text is 'a'.", "")),
        (["none"], "en", ("", "")),
        (["absent"], "en", ("", "")),
        (["text", "deep"], "en", ("", "deep: list")),
    ],
)
def test_inputs_are_written_by_a_template(fields: list[str], lang: str, expected: tuple[str, str]) -> None:
    assert input_text(ROW, fields, lang) == expected


def test_no_tasks_give_no_pairs(answered: Project, tmp_path: Path) -> None:
    tasks(answered, params())
    store(answered, "dynosaur/tasks", read_dataset(answered.dataset("dynosaur/tasks")).clear())
    assert pairs(answered, params(), NOTHING)["rows_in"] == 0
