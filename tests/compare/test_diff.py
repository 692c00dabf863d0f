"""`kun diff`: what git and the cache of DVC hold of two versions, row by row and as a whole."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kun.cli import main
from kun.compare.diff import Diff, diff
from kun.compare.page import pull_request, text
from kun.compare.shifts import leaves, shown
from kun.compare.tables import escaped, markdown
from kun.corpus.text import text_id
from kun.errors import InputError
from tests.compare.conftest import Versions


@pytest.fixture(scope="module")
def found(versions: Versions) -> Diff:
    return diff(versions.root, "v1", "v2")


def kun(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_rows_that_came_went_and_changed(found: Diff) -> None:
    rows = found.rows
    assert (rows.before, rows.after, rows.added, rows.removed, rows.changed) == (10, 11, 3, 2, 1)
    assert rows.fields == {"output": 1, "p_good": 2}, "a score that moved does not make another row"
    assert {row["id"] for row in rows.samples["added"]} == {text_id(str(n)) for n in (10, 11, 12)}
    assert {row["id"] for row in rows.samples["removed"]} == {text_id(str(n)) for n in (8, 9)}
    (changed,) = rows.samples["changed"]
    assert changed["id"] == text_id("3")
    assert changed["before"] == {"output": "第3个回答。"}
    assert changed["after"]["output"].startswith("<script>")


def test_shifts(found: Diff) -> None:
    assert {one["name"]: (one["before"], one["after"]) for one in found.sources} == {"forum": (10, 8), "optics": (0, 3)}
    assert {one["name"]: (one["before"], one["after"]) for one in found.methods} == {"kun": (10, 8), "glan": (0, 3)}
    reasons = sorted((one["stage"], one["name"], one["before"], one["after"]) for one in found.reasons)
    assert reasons == [("select", "quota", 0, 1), ("select", "top", 3, 5)]
    assert found.params == [{"name": "select.top", "before": 1.0, "after": 0.5}]
    assert [one["name"] for one in found.models] == ["base"]
    assert found.metrics == [{"name": "pairs", "before": 10, "after": 11}]
    means = {one["name"]: (one["before"].get("mean"), one["after"].get("mean")) for one in found.spreads}
    assert means["p_good"][0] == pytest.approx(0.045)
    assert means["output chars"][1] > means["output chars"][0]


def test_a_version_and_itself(versions: Versions) -> None:
    same = diff(versions.root, "v1", "v1")
    assert (same.rows.added, same.rows.removed, same.rows.changed, same.rows.fields) == (0, 0, 0, {})
    assert same.params == same.models == same.reasons == same.metrics == same.inputs == []
    assert "0 added, 0 removed, 0 changed" in text(same)


def test_the_workspace_is_read_as_it_is(versions: Versions) -> None:
    rows = diff(versions.root, "main", "workspace").rows
    assert (rows.added, rows.removed, rows.changed) == (0, 1, 0)
    assert rows.samples["removed"][0]["id"] == text_id("0")


def test_a_pull_request_cannot_be_broken_by_a_record(found: Diff) -> None:
    page = pull_request(found)
    assert "<script" not in page
    assert "](" not in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    widths = {}
    for line in tables:
        widths.setdefault(line.count("|"), []).append(line)
    assert set(widths) <= {3, 4, 5, 6}, widths
    assert "&#60;script&#62;" in page


@pytest.mark.parametrize(
    "mark", ["|", "<b>", "`x`", "[a](b)", "**b**", "@all", "#12", "https://x", "www.x.y", "\\", "\n| a |"]
)
def test_no_mark_of_a_record_means_anything(mark: str) -> None:
    (line,) = markdown("t", ("a", "b"), [[f"x{mark}y", "z"]]).splitlines()[4:]
    assert line.count("|") == 3
    assert not re.search(r"[<>`\[\]*@]", line.replace("<!-- -->", ""))
    assert escaped("好。") == "好。"
    assert not re.search(r"&#(35|64);\w|www\.", line), "forges look for these once more in what was rendered"


def test_lists_are_leaves() -> None:
    assert leaves({"a": {"b": [1, {"c": 2}]}, "d": {}}) == {"a.b": [1, {"c": 2}], "d": {}}


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("v3", "no revision or experiment 'v3'; nearest: v[12]"),
        ("nothing-like-it", "no revision or experiment 'nothing-like-it'; there are workspace, main, v1, v2"),
    ],
)
def test_an_unknown_revision(versions: Versions, first: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        diff(versions.root, first, "v2")


def test_outside_of_git_and_dvc(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no DVC repository"):
        diff(tmp_path, "HEAD", "workspace")
    from dvc.repo import Repo

    Repo.init(str(tmp_path), no_scm=True)
    with pytest.raises(InputError, match="is not under git"):
        diff(tmp_path, "HEAD", "workspace")


def test_objects_that_are_not_here_and_revisions_without_data(versions: Versions, tmp_path: Path) -> None:
    root = tmp_path / "clone"
    shutil.copytree(versions.root, root, symlinks=True)
    shutil.rmtree(root / ".dvc" / "cache")
    with pytest.raises(
        InputError, match=r"1 of 1 objects of data/selected at v1 \(\w+\) are not in the cache .*dvc fetch"
    ):
        diff(root, "v1", "workspace")
    (root / "dvc.lock").unlink()
    copy = Versions(root)
    copy.git("rm", "-q", "--cached", "dvc.lock")
    copy.git("commit", "-q", "-m", "no data")
    with pytest.raises(InputError, match=r"HEAD .* has no data/selected: its dvc.lock names no such output"):
        diff(root, "HEAD", "workspace")
    shutil.rmtree(root / "data" / "selected")
    with pytest.raises(InputError, match=r"data/selected holds no dataset"):
        diff(root, "workspace", "workspace")


def test_the_command(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(versions.root)
    told = kun("diff", "v1", "v2", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["rows"]["added"] == 3
    assert "10 -> 11 rows: 3 added, 2 removed, 1 changed" in kun("diff", "v1", "v2").stdout
    assert kun("diff", "v1", "--markdown").stdout.startswith("### v1 ")
    wrong = kun("diff", "v9")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(("value", "told"), [(None, "–"), ("", '""'), ("hf", "hf"), (0.3, "0.3"), ([], "[]")])
def test_nothing_empty_and_zero_are_told_apart(value: Any, told: str) -> None:
    assert shown(value) == told
