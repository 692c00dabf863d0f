from pathlib import Path

import polars as pl
import pytest

from kun.dynosaur.datasets import collect, datasets
from kun.dynosaur.proposals import prompts_of, proposals
from kun.dynosaur.replies import reply_schema
from kun.engine.base import Completion, Sampling
from kun.engine.fake import FakeModel
from kun.engine.records import Refusal, parse_record
from kun.project import Project
from kun.tables.shards import read_dataset
from tests.dynosaur.made_datasets import params, write_dataset_folder
from tests.made import FAKE, changed, engine, ledger

SUMMARY = "常见蔬果的名称、样子和类别。"


def prompts(project: Project, name: str) -> dict[str, str]:
    rows = {row["name"]: row for row in collect(project, params()).kept.iter_rows(named=True)}
    return prompts_of(rows[name], params())


def computed(project: Project) -> int:
    """Rows that the model has seen, in all runs."""
    found = (project.scratch / "work/dynosaur/proposals").rglob("seg-*.parquet")
    return sum(pl.read_parquet(path).height for path in found)


def test_acceptance_3_two_prompts_with_a_summary_and_one_without(project: Project) -> None:
    assert set(prompts(project, "fruit")) == {"aware", "unaware"}
    assert set(prompts(project, "birds")) == {"unaware"}


def test_the_unaware_prompt_has_nothing_of_the_summary_and_none_has_a_licence_or_address(project: Project) -> None:
    both = prompts(project, "fruit")
    assert SUMMARY in both["aware"]
    assert SUMMARY not in both["unaware"]
    for prompt in (*both.values(), *prompts(project, "birds").values()):
        assert "example.org" not in prompt
        assert "cc-by" not in prompt and "cc0" not in prompt
        assert '"id"' not in prompt


def test_a_prompt_is_in_the_language_of_its_dataset_and_shows_two_rows(project: Project) -> None:
    assert prompts(project, "fruit")["unaware"].endswith("任务：")
    birds = prompts(project, "birds")["unaware"]
    assert birds.endswith("Tasks:")
    assert "bird 1" in birds and "bird 2" not in birds


def test_each_prompt_gets_a_reply(project: Project) -> None:
    counts = proposals(project, params(), FAKE)
    assert counts is not None and (counts["rows_in"], counts["kept"]) == (3, 3)
    rows = read_dataset(project.dataset("dynosaur/proposals"))
    assert set(rows.select("source", "variant").iter_rows()) == {
        ("fruit", "aware"),
        ("fruit", "unaware"),
        ("birds", "unaware"),
    }
    assert rows["n_prompt"].min() > 0  # type: ignore[operator]


def test_acceptance_7_a_rerun_asks_nothing_and_a_new_dataset_its_own(project: Project) -> None:
    proposals(project, params(), FAKE)
    before = read_dataset(project.dataset("dynosaur/proposals"))
    proposals(project, params(), FAKE)
    assert computed(project) == 3
    assert read_dataset(project.dataset("dynosaur/proposals")).equals(before)
    write_dataset_folder(project.root, "tea", [{"名称": "绿茶", "产地": "山里"}] * 3)
    datasets(project, params())
    proposals(project, params(), FAKE)
    assert computed(project) == 5
    after = read_dataset(project.dataset("dynosaur/proposals"))
    assert after.filter(pl.col("source") != "tea").equals(before)


def test_a_prompt_without_room_is_dropped(project: Project) -> None:
    counts = proposals(project, params(), changed(FAKE, context=400))
    assert counts is not None and counts["kept"] == 0
    assert set(ledger(project, "dynosaur/proposals")["reason"]) == {"prompt_too_long"}


@pytest.mark.parametrize("constrain", ["fields", "shape"])
def test_replies_of_a_real_model_are_held_to_the_schema(project: Project, constrain: str) -> None:
    """The tiny model knows the letters of English names."""
    write_dataset_folder(project.root, "tea", [{"name": "green", "place": "hills"}] * 3, language="en", summary="Tea.")
    wanted = params(constrain=constrain, max_new_tokens=600, languages=["en"])
    datasets(project, wanted)
    proposals(project, wanted, engine("hf"))
    for row in read_dataset(project.dataset("dynosaur/proposals")).iter_rows(named=True):
        fields = {"tea": ["name", "place"], "birds": ["name", "look"]}[row["source"]]
        if row["finish"] == "stop":
            schema = reply_schema(fields if constrain == "fields" else [])
            assert not isinstance(parse_record(row["reply"], schema), Refusal)


def test_all_datasets_share_a_batch_each_with_its_own_fields(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a batch, and what a server is asked at a time, would be the two prompts of a dataset."""
    batches: list[list[str]] = []

    def generate(self: FakeModel, prompts: list[str], sampling: Sampling, schemas: list[str]) -> object:
        batches.append(list(schemas))
        return [Completion("{}", "stop", 1) for _ in prompts]

    monkeypatch.setattr(FakeModel, "generate", generate)
    write_dataset_folder(project.root, "tea", [{"名称": "绿茶", "产地": "山里"}] * 3)
    datasets(project, params())
    proposals(project, params(), FAKE)
    (schemas,) = batches
    assert len(schemas) == 5
    assert len(set(schemas)) == 3, "one for each dataset"


def test_without_rows_a_prompt_has_no_line_for_them(tmp_path: Path) -> None:
    write_dataset_folder(tmp_path, "fruit")
    row = collect(Project(tmp_path), params()).kept.row(0, named=True) | {"rows": []}
    for prompt in prompts_of(row, params()).values():
        assert prompt.endswith('字段：["名称", "样子", "类别"]\n任务：')


def test_variants_can_be_left_out(tmp_path: Path) -> None:
    write_dataset_folder(tmp_path, "fruit")
    row = collect(Project(tmp_path), params()).kept.row(0, named=True)
    assert set(prompts_of(row, params(variants=["aware"]))) == {"aware"}
