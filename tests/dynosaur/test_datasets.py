import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kun.dynosaur.datasets import collect, datasets
from kun.project import Project
from kun.tables.shards import read_dataset
from tests.dynosaur.made_datasets import fruit_rows, params, write_dataset_folder
from tests.made import ledger

ENGLISH = [{"text": f"The river was high that spring, and boat {n} stayed away.", "label": n % 2} for n in range(6)]


def verdicts(root: Path, **values: Any) -> dict[str, str]:
    """Name of each dataset -> "" or the reason against it."""
    found = collect(Project(root), params(**values))
    refused = dict(found.ledger.select("source", "reason").iter_rows())
    return refused | dict.fromkeys(found.kept["name"], "")


def test_acceptance_1_every_exclusion_has_its_verdict(tmp_path: Path) -> None:
    write_dataset_folder(tmp_path, "good")
    write_dataset_folder(tmp_path, "unlicensed", licence='""')
    write_dataset_folder(tmp_path, "denied", licence="cc-by-nc-nd-4.0")
    write_dataset_folder(tmp_path, "pictures", [{"image_url": "a", "text": "b", "label": "c"}])
    write_dataset_folder(tmp_path, "single", [{"id": 1, "text": "b"}])
    write_dataset_folder(tmp_path, "nested", [{"text": "b", "spans": [{"start": 1}]}])
    write_dataset_folder(tmp_path, "empty", [])
    write_dataset_folder(tmp_path, "french", language="fr")
    write_dataset_folder(tmp_path, "bitext", language="[zh, en]", summary="A bitext of news.")
    write_dataset_folder(tmp_path, "plain", card="# no front matter\n")
    assert verdicts(tmp_path) == {
        "good": "",
        "unlicensed": "no_licence",
        "denied": "licence_not_allowed",
        "pictures": "other_modality",
        "single": "too_few_fields",
        "nested": "too_few_fields",
        "empty": "no_rows",
        "french": "other_language",
        "bitext": "translation",
        "plain": "no_front_matter",
    }


def test_a_verdict_says_what_was_found_and_what_was_wanted(tmp_path: Path) -> None:
    write_dataset_folder(tmp_path, "both", language="[zh, en]")
    write_dataset_folder(tmp_path, "nested", [{"text": "b", "spans": [{"start": 1}]}])
    told = collect(Project(tmp_path), params()).ledger.select("source", "value", "threshold")
    assert list(told.iter_rows()) == [
        ("both", "zh, en", "one of zh, en"),
        ("nested", "usable: text; all: text, spans", ">= 2 usable"),
    ]


def test_a_licence_can_be_given_where_the_card_is_silent(tmp_path: Path) -> None:
    write_dataset_folder(tmp_path, "plain", card="# no front matter\n")
    assert verdicts(tmp_path, licences={"plain": "CC0-1.0"}) == {"plain": ""}
    assert verdicts(tmp_path, licences={"plain": "secret"}) == {"plain": "licence_not_allowed"}


def test_a_licence_for_no_dataset_is_told_with_the_nearest_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset_folder(tmp_path, "fruit")
    write_dataset_folder(tmp_path, "denied", licence="other")
    write_dataset_folder(tmp_path, "bare", card="")
    datasets(Project(tmp_path), params(licences=dict.fromkeys(["fruit", "denied", "bare", "friut"], "CC0-1.0")))
    assert capsys.readouterr().err == "dynosaur.licences: no source 'friut' in the data; did you mean 'fruit'?\n"


def test_without_a_tag_the_texts_tell_the_language(tmp_path: Path) -> None:
    write_dataset_folder(tmp_path, "zh", card="---\nlicense: mit\n---\n")
    write_dataset_folder(tmp_path, "en", ENGLISH, card="---\nlicense: mit\n---\n")
    found = collect(Project(tmp_path), params()).kept
    assert list(found.select("name", "lang", "lang_from").iter_rows()) == [("en", "en", "text"), ("zh", "zh", "text")]
    assert verdicts(tmp_path, languages=["zh"])["en"] == "other_language"


def test_code_counts_as_english_and_regions_do_not_matter(tmp_path: Path) -> None:
    write_dataset_folder(tmp_path, "code", ENGLISH, language="code")
    write_dataset_folder(tmp_path, "region", language="zh-Hans")
    assert collect(Project(tmp_path), params()).kept["lang"].to_list() == ["en", "zh"]


def test_a_second_dataset_of_the_same_name_is_refused(tmp_path: Path) -> None:
    write_dataset_folder(tmp_path, "fruit")
    card = {"dataset": "fruit", "description": "水果。", "features": ["名称", "样子"], "license": "mit"}
    (tmp_path / "cards.jsonl").write_text(json.dumps(card, ensure_ascii=False), encoding="utf-8")
    found = collect(Project(tmp_path), params(cards=["cards.jsonl"]))
    assert found.kept["origin"].to_list() == ["fruit"]
    assert found.ledger.select("id", "reason").row(0) == ("cards.jsonl:1#fruit", "duplicate_name")


def test_the_stage_accounts_for_datasets_and_lines(tmp_path: Path) -> None:
    folder = write_dataset_folder(tmp_path, "fruit")
    (folder / "more.jsonl").write_text("broken\n")
    write_dataset_folder(tmp_path, "denied", licence="other")
    project = Project(tmp_path)
    counts = datasets(project, params())
    assert (counts["rows_in"], counts["kept"], counts["dropped"]) == (3, 1, 2)
    assert counts["licences"] == {"cc0-1.0": 1}
    assert set(ledger(project, "dynosaur/datasets")["reason"]) == {"malformed_json", "licence_not_allowed"}
    row = read_dataset(project.dataset("dynosaur/datasets")).row(0, named=True)
    assert row["fields"] == ["名称", "样子", "类别"]
    assert json.loads(row["rows"][0]) == fruit_rows()[0]


def test_a_revision_changes_with_card_and_rows_alone(tmp_path: Path) -> None:
    folder = write_dataset_folder(tmp_path, "fruit")

    def now() -> tuple[str, str]:
        return collect(Project(tmp_path), params()).kept.select("id", "revision").row(0)

    before = now()
    write_dataset_folder(tmp_path, "other")
    assert now() == before
    with (folder / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"名称": "李"}\n')
    assert now()[0] == before[0]
    assert now()[1] != before[1]


def test_datasets_that_no_step_names_are_the_newest(tmp_path: Path) -> None:
    for name in ("fruit", "tea"):
        write_dataset_folder(tmp_path, name)
    assert collect(Project(tmp_path), params()).kept["step"].to_list() == [1, 1]
    (tmp_path / "data/datasets/steps.yaml").write_text("- [tea, gone]\n")
    assert collect(Project(tmp_path), params()).kept["step"].to_list() == [2, 1]


def test_values_that_nothing_can_store_are_replaced(tmp_path: Path) -> None:
    folder = write_dataset_folder(tmp_path, "odd", [])
    (folder / "rows.jsonl").write_text('{"a\\ud800": "x\\udfff", "b": NaN}\n{"a\\ud800": "y", "b": 2}\n')
    frame = pl.DataFrame({"day": [date(2024, 5, 1)] * 2, "word": ["五月", "一日"], "sound": [b"\xff\x00"] * 2})
    frame.write_parquet(write_dataset_folder(tmp_path, "days", []) / "rows.parquet")
    datasets(Project(tmp_path), params())
    rows = read_dataset(Project(tmp_path).dataset("dynosaur/datasets"))
    told = {row["name"]: (row["fields"], row["rows"][0]) for row in rows.iter_rows(named=True)}
    assert told["odd"] == (["a?", "b"], '{"a?": "x?", "b": null}')
    assert told["days"] == (["day", "word"], '{"day": "2024-05-01", "word": "五月", "sound": null}')


@pytest.mark.parametrize("text", ["---\nlicense: 3\nlanguage: {a: 1}\ntask_categories: x\n---\n", "---\n{}\n---\n"])
def test_odd_front_matter_never_breaks_the_stage(tmp_path: Path, text: str) -> None:
    write_dataset_folder(tmp_path, "odd", card=text)
    assert verdicts(tmp_path)["odd"] in ("no_licence", "no_front_matter")
