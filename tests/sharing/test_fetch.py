"""kun fetch: the release of a folder, of a project under DVC, of the hub; whole and checked, or not there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kun.cli import main
from kun.project import Project
from kun.release.checksums import SUMS
from tests.copies import OFFLINE_GUARD, ROOT, Copy
from tests.sharing.hub import TOKEN, Dataset, Hub

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def fetch(source: object, target: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["fetch", str(source), str(target), *options])


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_release_folder_is_copied_and_checked(released: Project, tmp_path: Path) -> None:
    release = released.dataset("release")
    result = fetch(release, tmp_path / "got/tea")
    assert result.exit_code == 0, result.output
    assert content(tmp_path / "got/tea") == content(release)
    assert result.stderr == f"fetch: 8 files from a folder in {tmp_path}/got/tea; 7 checked\n"


@pytest.mark.parametrize("damage", ["changed", "missing", "outside", "stranger"])
def test_a_damaged_release_is_refused_and_leaves_nothing(released: Project, tmp_path: Path, damage: str) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(released.dataset("release"), bad)
    told = {
        "changed": "alpaca.jsonl in",
        "missing": "names alpaca.jsonl, which is missing",
        "outside": "cannot be read",
        "stranger": "data/train-00000-of-00009.parquet is not in SHA256SUMS",
    }
    if damage == "changed":
        (bad / "alpaca.jsonl").unlink()
        (bad / "alpaca.jsonl").write_text("{}\n")
    elif damage == "missing":
        (bad / "alpaca.jsonl").unlink()
    elif damage == "stranger":
        shutil.copy(bad / "data/train-00000-of-00002.parquet", bad / "data/train-00000-of-00009.parquet")
    else:
        (bad / SUMS).unlink()
        (bad / SUMS).write_text("0" * 64 + "  ../../etc/passwd\n")
    result = fetch(bad, tmp_path / "tea")
    assert result.exit_code == 2
    assert told[damage] in result.stderr
    assert not (tmp_path / "tea").exists()
    assert not list(tmp_path.glob(".tea*"))


def test_a_release_without_checksums_says_so(released: Project, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(released.dataset("release"), old)
    (old / SUMS).unlink()
    result = fetch(old, tmp_path / "tea")
    assert result.exit_code == 0
    assert "nothing was checked" in result.stderr


def stored(released: Project, folder: Path) -> Copy:
    """Its data in a store, its state under the tag v1."""
    copy = Copy(released.root, folder / "scratch")
    copy.must("dvc", "remote", "add", "-q", "-d", "storage", str(folder / "store"))
    copy.must("dvc", "push", "-q")
    copy.must("git", "commit", "-q", "-a", "-m", "Where the data lies")
    copy.must("git", "tag", "v1")
    return copy


def test_a_project_by_revision(released: Project, tmp_path: Path) -> None:
    """From git and the store, not from the working tree."""
    first = content(released.dataset("release"))
    stored(released, tmp_path)
    card = released.dataset("release") / "README.md"
    card.unlink()
    card.write_text("# Another\n")
    url = f"file://{released.root}"
    for source in (released.root, url):
        target = tmp_path / f"tea{len(str(source))}"
        result = fetch(source, target, "--rev", "v1")
        assert result.exit_code == 0, result.output
        assert content(target) == first
        assert "8 files from a project" in result.stderr


def test_dvc_alone_reads_it_too(released: Project, tmp_path: Path) -> None:
    """`dvc get`, and from Python, as docs/sharing.md shows."""
    import dvc.api

    copy = stored(released, tmp_path)
    files = content(released.dataset("release"))
    copy.must("dvc", "get", f"file://{released.root}", "data/release", "--rev", "v1", "-o", str(tmp_path / "got"))
    assert content(tmp_path / "got") == files
    where = {"repo": f"file://{released.root}", "rev": "v1", "encoding": "utf-8"}
    assert dvc.api.read("data/release/alpaca.jsonl", **where).encode() == files["alpaca.jsonl"]
    with dvc.api.open("data/release/messages.jsonl", **where) as lines:
        assert len(list(lines)) == 3


@pytest.mark.parametrize(
    ("source", "options", "told"),
    [
        ("nowhere/at/all", [], "no folder nowhere/at/all; a source is"),
        ("file:///nowhere/at/all", [], "No git repository was found"),
        ("{root}", ["--rev", "v9"], "unknown Git revision 'v9'"),
        ("{root}/data", [], "is neither a release"),
        ("{root}/data/release", ["--rev", "v1"], "--rev is for projects and the hub"),
        ("https://oauth2:leaf123@127.0.0.1:9/x.git", [], "https://***@127.0.0.1:9/x.git cannot be fetched"),
    ],
)
def test_a_source_that_gives_nothing(
    released: Project, tmp_path: Path, source: str, options: list[str], told: str
) -> None:
    result = fetch(source.format(root=released.root), tmp_path / "tea", *options)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert "leaf123" not in result.stderr
    assert not (tmp_path / "tea").exists()


def test_the_current_folder_is_no_target(released: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    result = fetch(released.dataset("release"), Path())
    assert result.exit_code == 2
    assert "DEST must not be the folder that you are in" in result.stderr


def test_a_project_whose_data_nobody_pushed(released: Project, tmp_path: Path) -> None:
    shutil.rmtree(released.root / ".dvc/cache")
    result = fetch(f"file://{released.root}", tmp_path / "tea")
    assert result.exit_code == 2
    assert "cannot be fetched" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_project_without_a_release(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "project", tmp_path / "scratch")
    copy.root.mkdir()
    copy.must("git", "init", "-q")
    copy.must("git", "config", "user.name", "test")
    copy.must("git", "config", "user.email", "test@example.org")
    copy.must("dvc", "init", "-q")
    copy.must("git", "commit", "-q", "-m", "empty")
    result = fetch(copy.root, tmp_path / "tea")
    assert result.exit_code == 2
    assert "has no data/release" in result.stderr


def test_a_target_with_files_is_left_alone(released: Project, tmp_path: Path) -> None:
    target = tmp_path / "tea"
    target.mkdir()
    assert fetch(released.dataset("release"), target).exit_code == 0, "an empty folder will do"
    before = content(target)
    result = fetch(released.dataset("release"), target)
    assert result.exit_code == 2
    assert "is there already, and not empty" in result.stderr
    assert content(target) == before


def from_hub(hub: Hub, tmp_path: Path, *options: str, token: str = TOKEN) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": token,
        "HF_HOME": str(tmp_path / "hub-cache"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{OFFLINE_GUARD}",
    }
    command = [sys.executable, "-m", "kun", "fetch", "tea-house/kun-demo", str(tmp_path / "tea"), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_dataset_of_the_hub(released: Project, hub: Hub, tmp_path: Path) -> None:
    files = content(released.dataset("release"))
    dataset = hub.datasets["tea-house/kun-demo"] = Dataset(private=True)
    first = dataset.add({**files, ".gitattributes": b""}, "the release")
    dataset.add({**files, "README.md": b"# Edited on the hub\n"}, "another card")
    edited = from_hub(hub, tmp_path)
    assert edited.returncode == 2
    assert "README.md in" in edited.stderr and "is not what SHA256SUMS says" in edited.stderr
    done = from_hub(hub, tmp_path, "--rev", first)
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "tea") == files
    assert "8 files from a hub in" in done.stderr
    hub.datasets.clear()
    shutil.rmtree(tmp_path / "tea")
    assert from_hub(hub, tmp_path).returncode == 2, "what is in the cache may be an old release"


def test_a_dataset_that_is_not_on_the_hub(hub: Hub, tmp_path: Path) -> None:
    done = from_hub(hub, tmp_path)
    assert done.returncode == 2
    assert "tea-house/kun-demo cannot be fetched from the hub" in done.stderr
    assert "Traceback" not in done.stderr
