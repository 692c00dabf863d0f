"""`kun what-if` on the finished project: it says what the stages then do, and writes nothing."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from click.testing import CliRunner, Result

from kun.backtranslate.pairs import pairs
from kun.cli import main
from kun.config import load_params, read_tree
from kun.corpus.corpus import corpus
from kun.errors import ConfigError, InputError
from kun.mix.mix import mix
from kun.mix.source import source
from kun.params import Params
from kun.project import Project
from kun.select.choose import select
from kun.tables.shards import read_dataset
from kun.votes.store import append, votes_folder
from kun.votes.vote import Vote, seen_key
from kun.whatif import choice
from kun.whatif.answer import Answer, answer
from kun.whatif.page import page
from kun.whatif.settings import parse
from kun.whatif.texts import evals
from tests.copies import Copy, duplicate


@pytest.fixture(autouse=True)
def scratch(finished: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUN_SCRATCH", str(finished.scratch))


def asked(copy: Copy, *words: str, exact: bool = False) -> Answer:
    tree = read_tree(copy.root / "params.yaml")
    new, settings = parse(words, tree)
    return answer(copy.project, load_params(copy.root / "params.yaml"), new, settings, exact)


def files(root: Path) -> Mapping[str, int]:
    kept = ("data", "reports", "models")
    return {str(path): path.stat().st_mtime_ns for name in kept for path in (root / name).rglob("*")}


def middle(copy: Copy, column: str) -> float:
    return round(float(read_dataset(copy.project.dataset("pairs"))[column].median()), 4)  # type: ignore[arg-type]


def run_stages(copy: Copy, params: Params) -> pl.DataFrame:
    """The stages behind the models as they are, then what they release."""
    project = copy.project
    pairs(project, params.pairs, params.judge, params.ingest, evals(project, params))
    for name in params.mix.sources:
        source(project, params.mix, name)
    mix(project, params.mix)
    select(project, params.select, params.engine, partial(evals, project, params))
    return read_dataset(project.dataset("selected"))


@pytest.mark.parametrize(
    "words",
    [
        ("judge.threshold=P_GOOD",),
        ("pairs.min_chars=30", "pairs.max_repeats=20"),
        ("pairs.min_distinct_4gram=0.7", "judge.threshold=P_GOOD"),
        ("mix.caps={kun: 5}",),
        ("mix.limit=7", "select.rank.by=length", "select.top=3"),
        ("mix.dup_threshold=0.3",),
        ("select.filters=[{score: p_good, at_least: P_GOOD}]", "select.rank={by: p_good, descending: true}"),
        ("select.top=0.3", "select.rank.by=random", "select.quotas={forum: 1}", "select.arms=[random]"),
    ],
    ids=lambda words: words[0].split("=")[0],
)
def test_it_says_what_the_stages_then_do(finished: Copy, tmp_path: Path, words: tuple[str, ...]) -> None:
    words = tuple(word.replace("P_GOOD", str(middle(finished, "p_good"))) for word in words)
    told = asked(finished, *words)
    before = read_dataset(finished.project.dataset("selected"))
    copy = duplicate(finished, tmp_path)
    new, _ = parse(words, read_tree(copy.root / "params.yaml"))
    after = run_stages(copy, new)
    assert (told.before, told.after.value) == (before.height, after.height)
    assert told.lost == before.join(after, on="id", how="anti").height
    assert told.gained == after.join(before, on="id", how="anti").height
    by_source = {one["source"]: one["after"] for one in told.sources if one["after"]}
    assert by_source == dict(after.group_by("source").len().iter_rows())
    assert sum(one["after"] for one in told.lengths) == after.height
    assert sum(one["rows"] for one in told.reasons) == told.lost
    for row in told.examples["lost"]:
        ledger = read_dataset(copy.project.rejects(row["stage"])).row(
            by_predicate=pl.col("id") == row["id"], named=True
        )
        assert (row["reason"], row["threshold"]) == (ledger["reason"], ledger["threshold"])


def test_an_edit_that_quotes_an_evaluation_item_leaves_as_it_does_in_the_stage(finished: Copy, tmp_path: Path) -> None:
    copy = duplicate(finished, tmp_path)
    item = json.loads((copy.root / "data/eval/eval.jsonl").read_text(encoding="utf-8").splitlines()[0])
    row = read_dataset(copy.project.dataset("mixed")).row(0, named=True)
    edit = {"instruction": item["instruction"]}
    append(votes_folder(copy.project), Vote(row["id"], "mixed", "edit", "anna", seen_key(row), edit))
    told = asked(copy, "mix.limit=100000")
    assert [(one["stage"], one["reason"], one["rows"]) for one in told.reasons] == [("select", "contaminated", 1)]
    released = run_stages(copy, load_params(copy.root / "params.yaml"))
    assert (told.after.value, row["id"] in released["id"]) == (released.height, False)
    (left,) = read_dataset(copy.project.rejects("select")).filter(pl.col("id") == row["id"]).to_dicts()
    (example,) = told.examples["lost"]
    assert (example["value"], example["threshold"]) == (left["value"], left["threshold"])
    assert left["value"].endswith(f"(eval.jsonl:{item['id']})")


def test_votes_count_as_they_do_in_the_stage(finished: Copy, tmp_path: Path) -> None:
    copy = duplicate(finished, tmp_path)
    out = read_dataset(copy.project.dataset("mixed")).row(0, named=True)
    append(votes_folder(copy.project), Vote(out["id"], "mixed", "drop", "anna", seen_key(out), {}))
    params = load_params(copy.root / "params.yaml")
    released = run_stages(copy, params).height
    told = asked(copy, "mix.limit=100000")
    assert (told.before, told.gained, told.lost) == (released, 0, 0)
    assert asked(copy, "select.votes=ignore").gained == 1


def test_what_a_limit_dropped_comes_back_when_it_is_loosened(finished: Copy, tmp_path: Path) -> None:
    """The rows that come back pass all rules behind the loosened one, as in a run."""
    copy = duplicate(finished, tmp_path)
    whole = read_dataset(copy.project.dataset("selected"))
    chars = int(whole["output"].str.len_chars().quantile(0.25))  # type: ignore[arg-type]
    copy.set_params({"judge.threshold": middle(finished, "p_good"), "pairs.min_chars": chars + 1})
    strict = run_stages(copy, load_params(copy.root / "params.yaml"))
    floor = load_params(copy.root / "params.yaml").judge.floor
    told = asked(copy, f"judge.threshold={floor}")
    assert 0 < told.gained < whole.height - strict.height
    now = {row["id"] for row in told.examples["gained"]}
    copy.set_params({"judge.threshold": floor})
    then = run_stages(copy, load_params(copy.root / "params.yaml"))
    assert told.after.value == then.height
    assert now <= set(then["id"]) - set(strict["id"])
    assert {row["reason"] for row in told.examples["gained"]} == {"judge_threshold"}


def test_texts_and_instructions_that_leave_take_their_pairs_along(finished: Copy, tmp_path: Path) -> None:
    shortest = read_dataset(finished.project.dataset("instructions"))["instruction"].str.len_chars()
    limit = int(shortest.median()) + 1  # type: ignore[arg-type]
    told = asked(finished, f"instructions.min_chars={limit}")
    released = read_dataset(finished.project.dataset("selected"))
    instructions = read_dataset(finished.project.dataset("instructions"))
    stay = instructions.filter(pl.col("instruction").str.len_chars() >= limit)
    assert told.after.value == released.join(stay, on="id", how="semi").height < told.before
    assert {one["stage"] for one in told.reasons} == {"instructions"}
    assert [step.stage for step in told.steps] == ["instructions", "polish", "pairs", "mix", "select"]

    told = asked(finished, "corpus.limit=9")
    copy = duplicate(finished, tmp_path)
    new, _ = parse(["corpus.limit=9"], read_tree(copy.root / "params.yaml"))
    corpus(copy.project, new.corpus, new.engine)
    kept = read_dataset(copy.project.dataset("corpus"))
    assert told.after.value == released.join(kept, on="id", how="semi").height
    assert told.steps[0].after == 9


def test_texts_that_a_rule_of_clean_would_drop(finished: Copy) -> None:
    cleaned = read_dataset(finished.project.dataset("cleaned"))
    limit = int(cleaned["n_chars"].median())  # type: ignore[arg-type]
    told = asked(finished, f"clean.min_chars={limit}")
    assert told.steps[0].stage == "clean"
    assert told.steps[0].after == cleaned.filter(pl.col("n_chars") >= limit).height


def test_rows_that_no_model_has_seen_are_named_and_not_guessed(finished: Copy, tmp_path: Path) -> None:
    copy = duplicate(finished, tmp_path)
    copy.set_params({"corpus.limit": 9})
    corpus(copy.project, load_params(copy.root / "params.yaml").corpus, load_params(copy.root / "params.yaml").engine)
    told = asked(copy, "corpus.limit=11")
    (waiting,) = told.work
    assert (waiting.stage, waiting.rows, waiting.needs) == ("corpus", 2, ["label", "judge", "polish", "losses"])
    assert "2 rows that corpus would let in have seen no model yet" in page(told)
    assert "dvc exp run -S corpus.limit=11" in page(told)


def test_nothing_is_written(finished: Copy) -> None:
    before = files(finished.root)
    asked(finished, "judge.threshold=0.9", "select.top=2", "select.diversity={method: none, pool: 1.0, clusters: 2}")
    asked(finished, "instructions.dup_threshold=0.3")
    assert files(finished.root) == before


def test_a_large_project_is_answered_by_a_fair_sample(finished: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "PAIRS", 8)
    rows = read_dataset(finished.project.dataset("pairs")).height
    told = asked(finished, "pairs.min_distinct_4gram=0.5")
    assert 0 < told.sample <= 8 / rows
    assert told.after.low <= told.after.value <= told.after.high
    assert "an estimate from" in page(told)
    assert asked(finished, "pairs.min_distinct_4gram=0.5", exact=True).sample == 1.0
    assert asked(finished, "pairs.min_support=0.5").sample == 1.0, "what is stored needs no sample"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("label.temperature=0.5", r"a model would have to say something new; `dvc exp run -S label.temperature=0.5`"),
        ("dedup.threshold=0.6", "all texts would have to be read again, by no model"),
        ("clean.private=mask", "it changes the texts themselves"),
        ("release.name=x", "decides nothing about which rows there are"),
        ("glan.thin=3", r"dvc exp run -S glan.thin=3 pipelines/glan/dvc.yaml"),
        ("judge.calibrate=0.5", "margin that `evaluate` has found"),
    ],
)
def test_what_stored_data_do_not_tell(finished: Copy, word: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        asked(finished, word)


def test_before_the_first_run(tmp_path: Path) -> None:
    tree: Any = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    new, settings = parse(["select.top=0.5"], tree)
    with pytest.raises(InputError, match="data/pairs is not there; `dvc repro` makes it"):
        answer(Project(tmp_path), load_params(), new, settings)


def kun(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_the_command(finished: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.root)
    told = kun("what-if", "select.top=2", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["after"]["value"] == 2
    assert "select top" in kun("what-if", "select.top=2").stdout
    wrong = kun("what-if", "jugde.threshold=1")
    assert (wrong.exit_code, wrong.stderr.strip()) == (
        2,
        "kun: no parameter `jugde.threshold`; nearest: judge.threshold, dedup.threshold",
    )
