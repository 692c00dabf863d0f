"""What votes say of reviewers, judge and rules."""

from pathlib import Path

import polars as pl
import pytest

from kun.project import Project
from kun.schemas.rejects import REJECT
from kun.tables.shards import write_dataset
from kun.train.evaluate import auc
from kun.votes.shown import load_shown
from kun.votes.statistics import wilson
from kun.votes.summary import THRESHOLDS, votes_summary
from tests.review.conftest import BAND, LOW, SHORT, SPAM, key, say


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
    assert load_shown(project, [key(5)])[key(5)].verdict == {}
    assert votes_summary(project)["rules"] == []


def test_no_votes(records: Path) -> None:
    found = votes_summary(Project(records))
    assert (found["votes"], found["reviewers"], found["agreement"], found["rules"]) == (0, [], [], [])
    assert found["judge"] == {"good": 0, "bad": 0, "auc": None, "at_threshold": []}
