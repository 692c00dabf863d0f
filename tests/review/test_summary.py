"""What votes say of reviewers, judge and rules."""

import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from kun.cli import main
from kun.project import Project
from kun.review.records import load_records
from kun.review.statistics import auc_interval, kappa, wilson
from kun.review.summary import THRESHOLDS, votes_summary
from kun.schemas.rejects import REJECT
from kun.tables.shards import write_dataset
from kun.train.evaluate import auc
from kun.votes.store import append, votes_folder
from kun.votes.vote import Kind, Vote
from tests.review.conftest import BAND, LOW, SHORT, SPAM, key


def say(project: Project, number: int, verdict: Kind, reviewer: str = "anna", seen: str = "", **edit: str) -> None:
    record = load_records(project, [key(number)])[key(number)]
    vote = Vote(record.id, record.dataset, verdict, reviewer, seen or record.seen, edit)
    append(votes_folder(project), vote)


def test_reviewers_and_their_agreement(project: Project) -> None:
    for number, (anna, li) in enumerate([("keep", "keep"), ("keep", "drop"), ("drop", "drop"), ("drop", "drop")]):
        say(project, number, anna)  # type: ignore[arg-type]
        say(project, number, li, "li")  # type: ignore[arg-type]
    say(project, 4, "edit", output="改过的回答。")
    say(project, 5, "keep", seen="another text")
    say(project, 3, "keep", "wang")
    found = votes_summary(project)
    assert found["reviewers"] == [
        {"reviewer": "anna", "votes": 6, "keep": 3, "drop": 2, "edit": 1, "stale": 1},
        {"reviewer": "li", "votes": 4, "keep": 1, "drop": 3, "edit": 0, "stale": 0},
        {"reviewer": "wang", "votes": 1, "keep": 1, "drop": 0, "edit": 0, "stale": 0},
    ]
    assert found["agreement"] == [
        {"left": "anna", "right": "li", "records": 4, "same": 0.75, "kappa": 0.5},
        {"left": "anna", "right": "wang", "records": 1, "same": 0.0, "kappa": 0.0},
        {"left": "li", "right": "wang", "records": 1, "same": 0.0, "kappa": 0.0},
    ]
    assert (found["votes"], found["records"], found["stale"], found["voted_out"], found["edited"]) == (11, 5, 1, 2, 1)


def test_the_judge_is_held_against_what_people_say_of_the_instruction(project: Project) -> None:
    """p_good falls from 0.9 by a twelfth a record."""
    for number in (0, 1, 2, 7):
        say(project, number, "keep")
    for number in (6, LOW, SHORT):
        say(project, number, "drop")
    say(project, 3, "edit", output="改过的回答。")  # the instruction was good
    say(project, 4, "edit", instruction="怎样保存茶叶？")  # it was not
    say(project, 5, "keep")
    say(project, 5, "drop", "li")  # a tie
    say(project, SPAM, "keep")  # never judged
    judge = votes_summary(project)["judge"]
    assert (judge["good"], judge["bad"]) == (5, 4)
    assert judge["auc"]["value"] == pytest.approx(
        auc([0.9, 0.817, 0.733, 0.65, 0.317], [0.4, 0.15, 0.067, 0.567]), abs=1e-4
    )
    assert judge["auc"]["low"] < judge["auc"]["value"] < judge["auc"]["high"] < 1
    at = {row["threshold"]: row for row in judge["at_threshold"]}
    assert list(at) == list(THRESHOLDS)
    assert (at[0.6]["passed"], at[0.6]["precision"]["value"], at[0.6]["recall"]["value"]) == (4, 1.0, 0.8)
    assert (at[0.5]["passed"], at[0.5]["precision"]["value"], at[0.5]["recall"]["value"]) == (5, 0.8, 0.8)


def test_rules_are_told_how_often_people_would_have_kept_the_record(project: Project) -> None:
    for number in BAND:
        say(project, number, "keep")
    say(project, LOW, "drop")
    say(project, SPAM, "drop")
    say(project, SHORT, "keep")
    say(project, SHORT, "drop", "li")  # a tie
    rules = votes_summary(project)["rules"]
    assert [(row["stage"], row["reason"], row["records"], row["kept"]) for row in rules] == [
        ("pairs", "judge_threshold", 4, 3), ("clean", "spam", 1, 0),
    ]  # fmt: skip
    assert rules[0]["wrong"] == wilson(3, 4)._asdict()


def test_what_votes_dropped_is_no_rule_and_its_reviewers_are_not_shown_to_others(project: Project) -> None:
    row = {
        "id": key(5),
        "stage": "select",
        "status": "dropped",
        "reason": "voted_out",
        "value": "drop: anna",
        "threshold": "",
    }
    write_dataset(project.rejects("select"), pl.DataFrame([row | {"source": "", "excerpt": ""}], schema=REJECT), REJECT)
    say(project, 5, "drop")
    assert load_records(project, [key(5)])[key(5)].verdict == {}
    assert votes_summary(project)["rules"] == []


def test_no_votes(records: Path) -> None:
    found = votes_summary(Project(records))
    assert (found["votes"], found["reviewers"], found["agreement"], found["rules"]) == (0, [], [], [])
    assert found["judge"] == {"good": 0, "bad": 0, "auc": None, "at_threshold": []}


def test_the_command_prints_tables_and_json(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    assert CliRunner().invoke(main, ["votes"]).stdout.startswith("no votes yet; `kun review`")
    for number, verdict in ((0, "keep"), (1, "keep"), (7, "drop")):
        say(project, number, verdict)  # type: ignore[arg-type]
        say(project, number, verdict, "li")  # type: ignore[arg-type]
    told = CliRunner().invoke(main, ["votes"]).stdout
    assert "6 votes on 3 records: 1 voted out, 0 edited\n" in told
    assert "anna, li         3  100%   1.00" in told
    assert "judge, on 2 good and 1 bad instructions: AUC 1.00 (0." in told
    assert ">= 0.4 (now)" in told
    assert "pairs: judge_threshold     1            0  0% (0% to 79%)" in told
    found = json.loads(CliRunner().invoke(main, ["votes", "--json"]).stdout)
    assert found["agreement"][0]["kappa"] == 1.0
    assert [row["threshold"] for row in found["judge"]["at_threshold"]] == list(THRESHOLDS)


# Statistics


@pytest.mark.parametrize(
    ("hits", "of", "expected"),
    [
        (0, 10, (0.0, 0.0, 0.2775)),
        (10, 10, (1.0, 0.7225, 1.0)),
        (81, 263, (0.308, 0.2553, 0.3662)),
        (15, 148, (0.1014, 0.0624, 0.1605)),
    ],
)
def test_wilson_is_that_of_the_tables(hits: int, of: int, expected: tuple[float, ...]) -> None:
    """The last two from Newcombe 1998, table I, method 3."""
    assert tuple(wilson(hits, of)) == pytest.approx(expected, abs=1e-4)


def test_nothing_out_of_nothing_is_no_share() -> None:
    assert tuple(wilson(0, 0)) == (None, None, None)


def test_few_votes_in_order_do_not_prove_a_perfect_judge() -> None:
    few, many = auc_interval(1.0, 3, 3), auc_interval(1.0, 300, 300)
    assert few.high == many.high == 1.0
    assert few.low is not None and many.low is not None
    assert few.low < 0.6 < 0.98 < many.low
    assert auc_interval(0.0, 3, 3).high == pytest.approx(1 - few.low, abs=1e-4)


def test_the_interval_holds_the_true_area_as_often_as_it_says() -> None:
    """Two normal scores apart by 1: the area is 0.76; 400 draws of 20 good and 30 bad votes."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        good, bad = rng.normal(1, 1, 20), rng.normal(0, 1, 30)
        told = auc_interval(auc(good, bad), 20, 30)
        held += told.low <= 0.76025 <= told.high
    assert 0.92 <= held / 400 <= 0.985


def test_kappa_is_agreement_beyond_chance() -> None:
    left = ["keep"] * 25 + ["drop"] * 25
    right = ["keep"] * 20 + ["drop"] * 5 + ["keep"] * 10 + ["drop"] * 15
    assert kappa(left, right) == 0.4  # (0.7 - 0.5) / (1 - 0.5)
    assert kappa(left, left) == 1.0
    assert kappa(["keep"] * 5, ["keep"] * 5) is None
    rng = random.Random(7)
    chance = [[rng.choice("kd") for _ in range(5000)] for _ in range(2)]
    assert abs(kappa(*chance) or 1) < 0.05
