"""`kun explain` and `kun why` on the finished project: a record's life, told by what the stages left."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from kun.cli import main
from kun.config import load_params
from kun.errors import InputError
from kun.explain.find import find
from kun.explain.life import STAGES, life
from kun.explain.page import page
from kun.explain.why import examples, reasons
from kun.params import Params
from kun.project import Project
from kun.schemas.rejects import REJECT
from kun.tables.shards import read_dataset
from kun.terminal import printable
from tests.copies import Copy, duplicate


@pytest.fixture
def copy(finished: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    found = duplicate(finished, tmp_path)
    monkeypatch.chdir(found.root)
    monkeypatch.setenv("KUN_SCRATCH", str(found.scratch))
    return found


@pytest.fixture
def project(copy: Copy) -> Project:
    return Project(copy.root)


@pytest.fixture
def params(copy: Copy) -> Params:
    return load_params(copy.root / "params.yaml")


def ledger(project: Project, stage: str) -> pl.DataFrame:
    return read_dataset(project.rejects(stage))


def kun(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_a_released_record_is_found_by_all_that_names_it(project: Project) -> None:
    pair = read_dataset(project.dataset("pairs")).row(1, named=True)
    text = read_dataset(project.dataset("ingested")).row(by_predicate=pl.col("id") == pair["id"], named=True)
    for wanted in (pair["id"], f" {pair['id'][:12]} ", "2", text["text"], text["origin"], text["text"][5:60]):
        assert find(project, wanted) == pair["id"]


def test_a_record_that_never_became_a_row_is_found_by_its_place(project: Project, params: Params) -> None:
    row = ledger(project, "ingest").filter(pl.col("id").str.contains(":")).row(0, named=True)
    (step,) = life(project, params, find(project, row["id"]))
    assert (step.stage, step.outcome, step.verdict["reason"]) == ("ingest", "dropped", row["reason"])
    assert printable(row["excerpt"])[:20] in page(row["id"], [step], full=True)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("  ", "name a record"),
        ("0", r"the release has no line 0; its \d+ lines count from 1"),
        ("999999", "the release has no line 999999"),
        ("没有人写过的一句话", "no text, instruction or answer contains"),
        ("。", "several records have '。': [0-9a-f]{32}, .*…; name one"),
    ],
)
def test_what_names_no_record_or_several(project: Project, wanted: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        find(project, wanted)


def test_the_nearest_ids_are_named(project: Project) -> None:
    record = read_dataset(project.dataset("ingested"))["id"][0]
    wrong = record[:7] + ("0" if record[7] != "0" else "1")
    with pytest.raises(InputError, match=f"no record has the id {wrong}…; nearest: {record}"):
        find(project, wrong)


def test_an_id_that_no_record_has(project: Project, params: Params) -> None:
    """Even whole, and one digit off."""
    ids = read_dataset(project.dataset("ingested"))["id"]
    wrong = ids[0][:31] + ("0" if ids[0][31] != "0" else "1")
    with pytest.raises(InputError, match=f"no record has the id {wrong}; nearest: {ids[0]}"):
        life(project, params, find(project, wrong))


def test_a_pair_went_through_every_stage(project: Project, params: Params) -> None:
    pair = read_dataset(project.dataset("pairs")).row(0, named=True)
    steps = {step.stage: step for step in life(project, params, pair["id"])}
    assert list(steps) == list(STAGES)
    assert {step.outcome for step in steps.values()} == {"kept"}
    text = steps["corpus"].row["text"]
    assert text in steps["label"].prompt
    assert text in steps["polish"].prompt
    assert steps["instructions"].row["instruction"] in steps["judge"].prompt
    assert steps["pairs"].row == pair
    for stage in ("clean", "instructions", "pairs"):
        assert steps[stage].rules
        assert [value.rule for value in steps[stage].rules if not value.passed] == []


@pytest.mark.parametrize("stage", ["clean", "instructions", "pairs"])
def test_the_first_broken_rule_is_that_of_the_ledger(project: Project, params: Params, stage: str) -> None:
    """But for what `clean` sees only in a whole site, and what needs the tokenizer or all other rows."""
    beyond = {"too_long", "near_duplicate", "contaminated"}
    for row in ledger(project, stage).filter(~pl.col("reason").is_in(beyond)).iter_rows(named=True):
        *_, step = life(project, params, row["id"])
        assert (step.stage, step.outcome) == (stage, row["status"])
        first = next(value for value in step.rules if not value.passed)
        assert (first.rule, first.threshold) == (row["reason"], row["threshold"])
        assert first.value[:100] == row["value"][:100]
        told = page(row["id"], [step], full=False)
        assert f"{stage}: dropped, {row['reason']}" in told
        assert "passed" not in told


def test_reasons_are_those_of_the_counts(project: Project) -> None:
    found = reasons(project)
    for stage in ("ingest", "clean", "judge"):
        told = {one["reason"]: one["rows"] for one in found if one["stage"] == stage}
        assert told == dict(ledger(project, stage).group_by("reason").len().iter_rows())
    stages = [one["stage"] for one in found if one["stage"] in STAGES]
    assert stages == sorted(stages, key=list(STAGES).index)
    forum = reasons(project, stage="clean", source="forum")
    assert sum(one["rows"] for one in forum) == ledger(project, "clean").filter(source="forum").height
    for one in forum:
        shown = examples(project, "clean", one["reason"], "forum", 2)
        assert shown.schema == REJECT
        assert shown.height == min(2, one["rows"])
        assert set(shown["source"]) == {"forum"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"stage": "claen"}, "no stage 'claen'; did you mean clean"),
        ({"source": "facebook"}, "no source 'facebook'; there are .*forum"),
        ({"reason": "boredom"}, "no row has left for 'boredom'"),
    ],
)
def test_reasons_that_there_are_none_for(project: Project, asked: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        reasons(project, **asked)


def test_before_the_first_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no stage has run yet"):
        reasons(Project(tmp_path))
    with pytest.raises(InputError, match="there is no release yet"):
        find(Project(tmp_path), "3")
    with pytest.raises(InputError, match=r"no record has the id abcdef…$"):
        find(Project(tmp_path), "abcdef")


def test_a_record_does_not_steer_the_terminal() -> None:
    assert printable("a\x1b[2J\u202eb\n\tc") == "a\ufffd[2J\ufffdb c"


def test_the_commands(copy: Copy) -> None:
    told = kun("explain", "1", "--json")
    assert [step["stage"] for step in json.loads(told.stdout)["steps"]] == list(STAGES)
    assert kun("explain", "1").stdout.startswith("record ")
    assert kun("explain", "999999").exit_code == 2
    why = kun("why", "--stage", "clean", "--examples", "2").stdout
    assert "clean  too_short" in why
    assert kun("why", "--stage", "nowhere").exit_code == 2
