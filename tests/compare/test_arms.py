"""`kun compare`: versions and arms side by side."""

import csv
import json

import pytest
from click.testing import CliRunner

from kun.cli import main
from kun.compare.arms import as_csv, as_markdown, compare, text
from kun.errors import InputError
from tests.compare.conftest import Versions


def test_versions_side_by_side(versions: Versions) -> None:
    found = compare(versions.root, ["v1", "v2", "v1"])
    assert [(arm.name, arm.rows) for arm in found.arms] == [("v1", 10), ("v2", 11)]
    assert [arm.params for arm in found.arms] == [{"select.top": 1.0}, {"select.top": 0.5}]
    assert [arm.metrics["pairs"] for arm in found.arms] == [10, 11]
    assert found.overlap == [{"one": "v1", "other": "v2", "rows": 8, "jaccard": round(8 / 13, 4)}]


def test_without_names_the_workspace_and_its_arms(versions: Versions) -> None:
    found = compare(versions.root, [])
    assert [(arm.name, arm.rows) for arm in found.arms] == [("workspace", 10), ("longest", 3), ("random", 3)]
    shared = {(one["one"], one["other"]): one["rows"] for one in found.overlap}
    assert shared == {("workspace", "longest"): 2, ("workspace", "random"): 3, ("longest", "random"): 2}
    assert "Jaccard" in text(found)


def test_forms_hold_the_same_numbers(versions: Versions) -> None:
    found = compare(versions.root, ["v1", "random"])
    table = {line[0]: line[1:] for line in csv.reader(as_csv(found).splitlines())}
    assert table[""] == ["v1", "random"]
    assert table["rows"] == ["10", "3"]
    assert "| rows | 10 | 3 |" in as_markdown(found)


def test_what_all_arms_share_is_counted_not_shown(versions: Versions) -> None:
    found = compare(versions.root, ["v1", "v2"])
    every = [line[0] for line in csv.reader(as_csv(found).splitlines())][1:]
    told = text(found).split("\n\n")
    shown = [line.split("  ")[0] for line in told[0].splitlines()[2:]]
    equal = [name for name, one, other in csv.reader(as_csv(found).splitlines()[1:]) if one == other and name != "rows"]
    assert equal, "nothing to hide"
    assert sorted(shown + equal) == sorted(every)
    assert told[1] == f"{len(equal)} more are the same in all (--csv and --json have them)"
    alone = compare(versions.root, ["v1"])
    assert len(text(alone).splitlines()) == 1 + len(as_csv(alone).splitlines()), "one arm shares with nobody"


def test_an_unknown_arm_names_the_known(versions: Versions) -> None:
    with pytest.raises(InputError, match=r"no revision or experiment 'rnadom'.*arms of the selection: longest, random"):
        compare(versions.root, ["rnadom"])


def test_the_command(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(versions.root)
    told = CliRunner().invoke(main, ["compare", "v1", "v2", "--json"])
    assert [arm["rows"] for arm in json.loads(told.stdout)["arms"]] == [10, 11]
    assert CliRunner().invoke(main, ["compare", "v1", "--csv"]).stdout.splitlines()[0] == ",v1"
