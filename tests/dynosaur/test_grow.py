import shutil
from dataclasses import replace

import polars as pl
import pytest

from kun.dynosaur.datasets import datasets
from kun.dynosaur.grow import growth, present, register_step, told
from kun.dynosaur.proposals import proposals
from kun.project import Project
from kun.work import stage as module
from tests.dynosaur.made_datasets import params, write_dataset_folder
from tests.made import FAKE


@pytest.fixture
def ran(project: Project) -> Project:
    """After a run over all that there is."""
    proposals(project, params(), FAKE)
    return project


def test_after_a_run_nothing_is_left(ran: Project) -> None:
    found = growth(ran, params(), FAKE)
    assert (found.new, found.changed, found.removed, found.prompts, found.missing) == ([], [], [], 3, 0)


def test_before_the_first_run_everything_is_new(project: Project) -> None:
    shutil.rmtree(project.dataset("dynosaur/datasets"))
    found = growth(project, params(), FAKE)
    assert (found.new, found.prompts, found.missing) == (["birds", "fruit"], 3, 3)


def test_what_was_added_changed_and_removed_is_named(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load_engine", lambda *_: pytest.fail("no model is needed to tell what it would do"))
    folder = ran.root / "data/datasets"
    write_dataset_folder(ran.root, "tea", [{"名称": "绿茶", "产地": "山里"}] * 3)
    write_dataset_folder(ran.root, "denied", licence="other")
    with (folder / "fruit/rows.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"名称": "李", "样子": "小而酸", "类别": "水果"}\n')
    shutil.rmtree(folder / "birds")
    found = growth(ran, params(), FAKE)
    assert (found.new, found.changed, found.removed) == (["tea"], ["fruit"], ["birds"])
    assert (found.refused, found.prompts, found.missing) == (1, 4, 2), "the prompts of fruit show its first rows only"
    assert found.tokens_in > 100
    assert found.tokens_out == 2 * params().max_new_tokens


def test_the_forecast_of_missing_prompts_is_what_the_run_asks(ran: Project) -> None:
    write_dataset_folder(ran.root, "tea", [{"名称": "绿茶", "产地": "山里"}] * 3)
    missing = growth(ran, params(), FAKE).missing
    before = _computed(ran)
    datasets(ran, params())
    proposals(ran, params(), FAKE)
    assert _computed(ran) - before == missing == 2


def _computed(project: Project) -> int:
    found = (project.scratch / "work/dynosaur/proposals").rglob("seg-*.parquet")
    return sum(pl.read_parquet(path).height for path in found)


def test_it_is_told_in_lines_with_the_cost_of_a_server(project: Project) -> None:
    found = growth(project, params(), FAKE)
    assert "cost" not in told(found, FAKE)
    priced = replace(FAKE, server=replace(FAKE.server, price_in=2.0, price_out=4.0))
    lines = told(found, priced).splitlines()
    assert lines[4].startswith("prompts: 3, of which 0 are answered already and 3 would be asked")
    cost = (2 * found.tokens_in + 4 * found.tokens_out) / 1e6
    assert lines[-1] == f"cost: up to {cost:,.4g}"


def test_new_datasets_are_registered_as_the_next_step(project: Project) -> None:
    write_dataset_folder(project.root, "tea")
    steps = project.root / "data/datasets/steps.yaml"
    assert register_step(project, params(), present(project, params())) == 3
    shutil.rmtree(project.root / "data/datasets/birds")
    assert register_step(project, params(), present(project, params())) == 0
    assert steps.read_text(encoding="utf-8").splitlines()[1:] == ["- [fruit]", "- [birds]", "- [tea]"]
