"""kun init and kun upgrade, from the repository itself; tests/test_package.py does it from a wheel."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from kun.cli import main
from kun.config import load_params
from kun.project import Project
from kun.start import code, skeleton
from kun.start.code import CODE, for_installed, parts, read_code
from kun.start.project import create
from tests.copies import ROOT

PIPELINES = [ROOT / "dvc.yaml", *sorted(ROOT.glob("pipelines/*/dvc.yaml"))]


def kun(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "tea"
    result = kun("init", str(folder))
    assert result.exit_code == 0, result.output
    assert f"files in {folder}" in result.stderr
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project's settings without version control, current directory."""
    monkeypatch.setattr("kun.start.project._version_control", lambda *_: None)
    create(tmp_path)
    monkeypatch.chdir(tmp_path)
    return Project()


# init


def test_a_new_project_has_all_that_the_repository_has(made: Path) -> None:
    names = skeleton.names(ROOT)
    assert {"params.yaml", "dvc.yaml", "expectations/pairs.json", "data/seed/seeds.jsonl"} <= set(names)
    for name in names:
        if Path(name).name != "dvc.yaml" and name != ".dvc/config":
            assert (made / name).read_bytes() == (ROOT / name).read_bytes()
    assert load_params(made / "params.yaml") == load_params(ROOT / "params.yaml")


@pytest.mark.parametrize("file", PIPELINES, ids=lambda path: path.parent.name)
def test_no_input_that_git_keeps_is_left_behind(file: Path) -> None:
    """Else `dvc repro` of a new project would miss it."""
    stages = yaml.safe_load(file.read_text(encoding="utf-8"))["stages"].values()
    deps = {dep for stage in stages for dep in stage.get("do", stage).get("deps", []) if not dep.startswith("kun/")}
    carried = skeleton.names(ROOT)
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for dep in deps:
        kept = {name for name in listed if name == dep or name.startswith(f"{dep}/")}
        if dep.startswith("data/") and not all(Path(name).name == ".gitignore" for name in kept):
            assert kept <= set(carried), dep


def test_it_is_under_git_and_dvc_with_our_settings(made: Path) -> None:
    assert (made / ".git").is_dir()
    config = (made / ".dvc/config").read_text(encoding="utf-8")
    for line in (ROOT / ".dvc/config").read_text(encoding="utf-8").splitlines():
        assert line.strip() in config
    ignored = subprocess.run(["git", "check-ignore", ".kun/x"], cwd=made, capture_output=True, check=False)
    assert ignored.returncode == 0, "scratch is none of git's business"


@pytest.mark.parametrize("file", PIPELINES, ids=lambda path: path.parent.name)
def test_stages_depend_on_the_code_by_hash_where_they_depended_on_its_folders(file: Path) -> None:
    before = yaml.safe_load(file.read_text(encoding="utf-8"))["stages"]
    text = for_installed(file.read_text(encoding="utf-8"))
    assert re.findall(r"^\s*#.*$", text, re.MULTILINE) == re.findall(r"^\s*#.*$", file.read_text(), re.MULTILINE)
    known = parts(path.read_text(encoding="utf-8") for path in PIPELINES)
    for name, stage in yaml.safe_load(text)["stages"].items():
        old, new = before[name].get("do", before[name]), stage.get("do", stage)
        folders = [dep for dep in old.get("deps", []) if dep.startswith("kun/")]
        watched = [part for entry in new.get("params", []) if isinstance(entry, dict) for part in entry[CODE]]
        assert new.get("deps", []) == [dep for dep in old.get("deps", []) if dep not in folders]
        assert [f"kun/{part}" for part in watched] == [dep.removesuffix(".py") for dep in folders]
        assert set(watched) <= known.keys()
        kept = {key: value for key, value in new.items() if key not in ("deps", "params")}
        assert kept == {key: value for key, value in old.items() if key not in ("deps", "params")}


@pytest.mark.parametrize("there", ["params.yaml", "data/raw/forum.csv", ".dvc/config"])
def test_what_is_in_the_way_is_named_and_nothing_is_written(tmp_path: Path, there: str) -> None:
    path = tmp_path / there
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine\n")
    result = kun("init", str(tmp_path))
    assert result.exit_code == 2
    assert f"{tmp_path} already has {there}" in result.stderr.replace("has .dvc, ", "has ")
    assert "nothing was written" in result.stderr
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    assert path.read_text() == "mine\n"


def test_what_an_error_interrupts_goes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kun.start.project._version_control", fail)
    before = taken(tmp_path)
    result = kun("init", str(tmp_path / "new/tea"))
    assert result.exit_code == 2
    assert taken(tmp_path) == before
    lived_in(tmp_path)
    before = taken(tmp_path)
    assert kun("init", str(tmp_path)).exit_code == 2
    assert taken(tmp_path) == before


def lived_in(folder: Path) -> None:
    """A folder with things of its own: a list of what git ignores, a note, an empty folder."""
    (folder / "data").mkdir(parents=True)
    (folder / ".gitignore").write_text("/notes")
    (folder / "data/notes").write_text("mine\n")
    (folder / "configs").mkdir()


def taken(root: Path) -> dict[str, bytes | None]:
    """Every path below, and what files hold."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


@pytest.mark.parametrize("there", [False, True], ids=["a new folder", "a folder with files"])
def test_control_c_leaves_nothing_behind(tmp_path: Path, there: bool) -> None:
    """Sent while `git init` is at work, behind all files; git is the real one, and slow."""
    place, tools = tmp_path / "place", tmp_path / "tools"
    folder = place / "new" / "tea"
    place.mkdir()
    tools.mkdir()
    if there:
        lived_in(folder)
    real, begun = shutil.which("git"), tools / "begun"
    script = f'#!/bin/sh\nif [ "$1" = init ]; then {real} "$@"; touch {begun}; exec sleep 120; fi\nexec {real} "$@"\n'
    (tools / "git").write_text(script)
    (tools / "git").chmod(0o755)
    before = taken(place)
    environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "kun", "init", str(folder)], env=environment, stderr=subprocess.PIPE, text=True
    )
    while not begun.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    assert (folder / ".git/HEAD").is_file() and (folder / CODE).is_file()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in told) == (1, False), told
    assert taken(place) == before


@pytest.mark.parametrize("count", [1, 2, 40])
def test_an_interrupt_between_two_files_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    write, left = Path.write_bytes, [count]

    def interrupted(path: Path, content: bytes) -> int:
        left[0] -= 1
        if left[0] == 0:
            write(path, content[:5])
            raise KeyboardInterrupt
        return write(path, content)

    lived_in(tmp_path)
    before = taken(tmp_path)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "write_bytes", interrupted)
        create(tmp_path)
    assert taken(tmp_path) == before


def test_an_interrupt_behind_dvc_leaves_the_repository_around_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC adds its files to what the next commit takes."""
    from dvc.repo import Repo

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    def interrupted(*words: Any, **values: Any) -> None:
        begin(*words, **values).close()
        assert ".dvc/config" in git("ls-files")
        raise KeyboardInterrupt

    begin = Repo.init
    git("init", "-q")
    (tmp_path / "mine").write_text("mine\n")
    git("add", "mine")
    monkeypatch.setattr(Repo, "init", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create(tmp_path / "tea")
    assert git("status", "--porcelain", "--untracked-files=all") == "A  mine\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "mine"]


def test_lists_of_what_git_ignores_grow(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / ".gitignore").write_text("/notes\n__pycache__/\n")
    create(other)
    lines = (other / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["/notes", "__pycache__/"]
    assert "/.kun" in lines and lines.count("__pycache__/") == 1


def test_only_what_git_tracks_is_carried(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for name in ("params.yaml", "data/raw/sample.txt", "data/raw/private.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    subprocess.run(["git", "add", "params.yaml", "data/raw/sample.txt"], cwd=tmp_path, check=True)
    assert skeleton.names(tmp_path) == ["data/raw/sample.txt", "params.yaml"]


# upgrade


def test_with_the_same_code_there_is_nothing_to_say(project: Project) -> None:
    code.verify(project)
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    result = kun("upgrade")
    assert result.exit_code == 0
    assert result.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_other_code_stops_a_stage_until_the_upgrade(project: Project) -> None:
    found = read_code(project)
    assert found is not None
    path = project.root / CODE
    path.write_text(path.read_text().replace(f"corpus: {found['corpus']}", "corpus: 0000"))
    result = kun("ingest")
    assert result.exit_code == 2
    assert f"with other code (corpus); run `kun upgrade`, or pip install kun=={found['version']}" in result.stderr
    assert kun("upgrade").exit_code == 0
    assert read_code(project) == found


def test_another_version_is_named(project: Project) -> None:
    path = project.root / CODE
    path.write_text(re.sub("version: .*", "version: 0.0.9", path.read_text()))
    assert "code.yaml is of kun 0.0.9, but" in kun("ingest").stderr


def test_settings_that_nobody_edited_are_renewed_and_others_get_a_new_one_beside(project: Project) -> None:
    """As if an older version had written these files."""
    path = project.root / CODE
    tree = yaml.safe_load(path.read_text())
    for name in ("dvc.yaml", "params.yaml"):
        Path(name).write_text("old\n")
        tree["files"][name] = "old"
    tree["files"]["dvc.yaml"] = hashlib.sha256(b"old\n").hexdigest()
    del tree["files"]["expectations/pairs.json"]
    Path("expectations/pairs.json").unlink()
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    told = kun("upgrade").stderr
    assert "dvc.yaml: replaced" in told
    assert "expectations/pairs.json: replaced" in told
    assert "params.yaml: edited here" in told
    assert Path("params.yaml").read_text() == "old\n"
    assert Path("params.yaml.new").read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert Path("dvc.yaml").read_text() == for_installed((ROOT / "dvc.yaml").read_text(encoding="utf-8"))


def test_upgrade_is_for_projects_and_a_spoilt_file_is_named(project: Project) -> None:
    (project.root / CODE).write_text("- a list\n")
    assert "was spoilt; bring it back: git checkout code.yaml" in kun("upgrade").stderr
    (project.root / CODE).unlink()
    assert "kun upgrade is for a project that kun init made" in kun("upgrade").stderr
