"""What `kun votes` prints."""

import json

import pytest
from click.testing import CliRunner

from kun.cli import main
from kun.project import Project
from kun.votes.summary import THRESHOLDS
from tests.review.conftest import say


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
