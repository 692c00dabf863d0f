"""kun publish against a hub on loopback: what is told, sent, sent again, taken back, and never let out."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from kun.cli import main
from kun.params import Params
from kun.project import Project
from kun.release.checksums import write_sums
from kun.sharing.fit import warnings
from kun.sharing.secrets import scan
from kun.tables.shards import write_json
from tests.copies import OFFLINE_GUARD, ROOT
from tests.sharing.hub import READER, TOKEN, Dataset, Hub

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

NAME = "tea-house/kun-demo"


def as_user(project: Project, hub: Hub, *options: str) -> "subprocess.CompletedProcess[str]":
    """As a process of its own, all settings in its environment."""
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",  # the transfer of git LFS, which this hub speaks
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(project.root / ".hub"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{OFFLINE_GUARD}",
    }
    command = [sys.executable, "-m", "kun", "publish", NAME, *options]
    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def online(released: Project, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The same settings for this process, which has read the others at its start; it runs in the project."""
    from huggingface_hub import constants

    monkeypatch.chdir(released.root)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(released.root / "no-token"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    return hub


def publish(*options: str, token: str = TOKEN) -> Result:
    result = CliRunner().invoke(main, ["publish", NAME, *options], env={"HF_TOKEN": token})
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert not token or token not in result.output
    return result


def content(project: Project) -> dict[str, bytes]:
    folder = project.dataset("release")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_tells_everything_and_sends_nothing(released: Project, hub: Hub) -> None:
    done = as_user(released, hub)
    assert done.returncode == 0, done.stderr
    assert hub.datasets == {}
    for name, data in content(released).items():
        assert f"file     {name}  {len(data):,} bytes" in done.stdout
    assert f"{NAME} on {hub.url}" in done.stdout
    assert "private: only its owners can see it" in done.stdout
    assert "licence  CC0-1.0: 3 rows" in done.stdout
    assert "WARNING  the terms of the base model (gemma) travel with what it wrote" in done.stdout
    assert done.stderr.endswith("dry run: nothing was sent; add --yes\n")


def test_the_release_is_one_private_commit_and_a_second_run_changes_nothing(released: Project, online: Hub) -> None:
    hub = online
    done = as_user(released, hub, "--yes", "--message", "The first tea")
    assert done.returncode == 0, done.stderr
    dataset = hub.datasets[NAME]
    assert dataset.private
    assert dataset.messages == ["initial commit", "The first tea"]
    assert {name: data for name, data in dataset.files.items() if name != ".gitattributes"} == content(released)
    assert f"{hub.url}/datasets/{NAME}, commit {dataset.head}" in done.stderr
    sent = list(hub.uploads)
    again = publish("--yes")
    assert again.exit_code == 0, again.stderr
    assert "nothing has changed" in again.stderr
    assert (len(dataset.commits), hub.uploads) == (2, sent)


def test_after_an_error_nothing_is_seen_and_only_what_is_missing_is_sent(released: Project, online: Hub) -> None:
    online.broken = 1
    done = publish("--yes")
    assert done.exit_code == 2
    assert done.stderr.count("kun:") == 1
    assert "refused" in done.stderr and "made up" in done.stderr
    assert list(online.datasets[NAME].files) == [".gitattributes"]
    arrived = list(online.uploads)
    done = publish("--yes")
    assert done.exit_code == 0, done.stderr
    shards = {hashlib.sha256(data).hexdigest() for name, data in content(released).items() if name.endswith("parquet")}
    assert set(online.uploads) == shards
    assert len(online.uploads) == len(shards), "what had arrived was not sent again"
    assert online.uploads[: len(arrived)] == arrived


def test_shards_of_an_older_release_go_with_the_commit(released: Project, online: Hub) -> None:
    online.datasets[NAME] = Dataset(private=True)
    online.datasets[NAME].add(
        {"data/train-00009-of-00010.parquet": b"old", "NOTES.md": b"of the owner", "eval.jsonl": b""}, "older"
    )
    assert publish("--yes").exit_code == 0
    files = online.datasets[NAME].files
    assert "data/train-00009-of-00010.parquet" not in files
    assert files["NOTES.md"] == b"of the owner"
    assert "eval.jsonl" in files


def test_a_public_dataset_is_made_and_changed_only_on_request(released: Project, online: Hub) -> None:
    online.datasets[NAME] = Dataset(private=False)
    online.datasets[NAME].add({}, "open")
    done = publish("--yes")
    assert (done.exit_code, len(online.datasets[NAME].commits)) == (2, 1)
    assert "is public on the hub already: say --public" in done.stderr
    online.datasets[NAME].private = True
    done = publish("--public", "--yes")
    assert (done.exit_code, len(online.datasets[NAME].commits)) == (2, 1)
    assert "is private on the hub: make it public there" in done.stderr
    del online.datasets[NAME]
    done = publish("--public", "--yes")
    assert "public: everybody can see and download it" in done.stdout
    assert not online.datasets[NAME].private


@pytest.mark.parametrize(
    ("token", "told"),
    [("hf_unknown", "the hub does not know the token"), (READER, "may not write to tea-house"), ("", "no token")],
)
def test_a_token_that_does_not_do(released: Project, online: Hub, token: str, told: str) -> None:
    if token == "hf_unknown":
        online.datasets[NAME] = Dataset(private=True)
        online.datasets[NAME].add({}, "there")
    done = publish("--yes", token=token)
    assert done.exit_code == 2
    assert told in done.stderr


def test_a_hub_that_is_not_there(released: Project, online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = publish("--yes")
    assert done.exit_code == 2
    assert "the hub at http://127.0.0.1:9 refused" in done.stderr and "Connection refused" in done.stderr
    monkeypatch.undo()
    monkeypatch.chdir(released.root)
    assert "offline" in publish("--yes").stderr.lower()


# What must not leave: the checks alone, in this process


@pytest.fixture
def here(released: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(released.root)
    return released


def refused(*options: str) -> str:
    result = CliRunner().invoke(main, ["publish", NAME, *options])
    assert result.exit_code == 2, result.output
    assert "this release cannot be published" in result.stderr
    return result.stderr


def changed(project: Project, name: str, text: str) -> None:
    """A file of the release with another line, its checksums made anew."""
    path = project.dataset("release") / name
    data = path.read_text(encoding="utf-8")
    path.unlink()  # a link to DVC's cache
    path.write_text(f"{data}{text}\n", encoding="utf-8")
    write_sums(project.dataset("release"))


SECRETS = {
    "a Hugging Face token": "hf_" + "Ab3" * 12,
    "an API key (sk-...)": "密钥\nsk-proj-" + "x1" * 20,  # JSON writes the line break as two signs
    "an AWS access key": "AKIA" + "ABCD1234" * 2,
    "a GitHub token": "ghp_" + "k9" * 18,
    "a private key": "-----BEGIN RSA PRIVATE KEY-----",
    "a password in an address": "https://tea:leaf123@store.example/x",
    "an e-mail address": "请写信到 wang.lihua@teahouse-mail.cn",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_in_the_texts_is_named_by_place_and_never_quoted(here: Project, kind: str) -> None:
    changed(here, "messages.jsonl", json.dumps({"text": SECRETS[kind]}, ensure_ascii=False))
    told = refused()
    assert f"data/release/messages.jsonl:4: {kind}" in told
    assert SECRETS[kind][-12:] not in told


@pytest.mark.parametrize(
    "key",
    [
        "hf_" + "Ab3" * 12,
        "AKIA" + "ABCD1234" * 2,
        "sk-or-v1-" + "0f" * 32,
        "sk-proj-aB3d-" + "x1" * 20,
        "ghp_" + "k9" * 18,
        "https://tea:leaf123@store.example",
        "redis://:leaf123@store.example",
    ],
)
@pytest.mark.parametrize("around", ["令牌是{}请保密", "{}的", "（{}）", "x = {}"])
def test_a_key_beside_chinese_characters_is_one(tmp_path: Path, key: str, around: str) -> None:
    (tmp_path / "alpaca.jsonl").write_text(json.dumps({"output": around.format(key)}, ensure_ascii=False))
    assert [(one.file, one.line) for one in scan(tmp_path, emails=False)] == [("alpaca.jsonl", 1)]


@pytest.mark.parametrize(
    "text", ["task-" + "x" * 30, "shf_" + "a" * 40, "XAKIA" + "ABCD1234" * 2, "https://a.cn:80/b@c"]
)
def test_what_only_resembles_a_key(tmp_path: Path, text: str) -> None:
    (tmp_path / "alpaca.jsonl").write_text(json.dumps({"output": text}))
    assert not scan(tmp_path, emails=False)


def test_a_secret_in_a_shard_and_a_path_on_the_card(here: Project) -> None:
    folder = here.dataset("release")
    shard = folder / "data/train-00000-of-00002.parquet"
    frame = pl.read_parquet(shard)
    shard.unlink()
    frame.with_columns(id=pl.lit(SECRETS["a Hugging Face token"])).write_parquet(shard)
    changed(here, "README.md", "made in /home/wanglihua/kun")
    told = refused()
    assert "train-00000-of-00002.parquet:1: a Hugging Face token" in told
    assert "README.md:" in told and "a path of a machine" in told


def test_addresses_that_are_meant_to_be_there(here: Project) -> None:
    changed(here, "messages.jsonl", SECRETS["an e-mail address"])
    told = refused("--emails-ok")
    assert "e-mail" not in told
    assert "dvc.lock is not true any more for release" in told


def test_a_release_that_is_damaged(here: Project) -> None:
    path = here.dataset("release") / "alpaca.jsonl"
    path.unlink()
    path.write_text("{}\n", encoding="utf-8")
    assert "alpaca.jsonl in data/release is not what SHA256SUMS says" in refused()


def test_a_failed_gate_and_one_that_never_ran(here: Project) -> None:
    write_json(here.check("judged"), {"dataset": "judged", "success": False, "expectations": [1]})
    assert "the gate of judged failed" in refused()
    here.check("judged").unlink()
    here.check("selected").unlink()
    assert "no gate of data/selected has run" in refused()


def test_rows_without_a_licence(here: Project) -> None:
    shard = here.dataset("release") / "data/train-00001-of-00002.parquet"
    frame = pl.read_parquet(shard)
    shard.unlink()
    frame.with_columns(licence=pl.lit("unknown")).write_parquet(shard)
    told = refused()
    assert "1 rows have no known licence (sources: forum)" in told
    assert "ingest.licences" in told


def test_a_publisher_is_told_of_models_whose_terms_nobody_stated(here: Project, params: Params) -> None:
    server = replace(
        params.engine.server, url="http://127.0.0.1:1/v1", models={"label": "Qwen/Qwen3-8B", "chat": "strong"}
    )
    served = replace(params, engine=replace(params.engine, backend="openai", server=server))
    assert not any("server" in line for line in warnings(here, params, {}))
    assert "nobody stated the licence of Qwen/Qwen3-8B, strong, which a server ran: read its terms" in warnings(
        here, served, {}
    )


def test_a_changed_input(here: Project) -> None:
    (here.dataset("selected") / "part-00001.parquet").write_bytes(b"more")
    assert "dvc.lock is not true any more for release" in refused()


def test_inputs_that_were_not_pulled_are_no_change(here: Project) -> None:
    """The output of a stage may be elsewhere; a file of the user's own may not."""
    shutil.rmtree(here.dataset("selected"))
    assert "dvc.lock is not true any more for release" in refused()
    with (here.root / "dvc.yaml").open("a", encoding="utf-8") as file:
        file.write("  select: {cmd: echo made elsewhere, outs: [data/selected]}\n")
    result = CliRunner().invoke(main, ["publish", NAME])
    assert "for release" not in result.stderr


def test_no_release_and_no_name(tmp_path: Path, here: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(main, ["publish", "no-owner"])
    assert "no-owner is no OWNER/NAME" in result.stderr
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"))
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"))
    monkeypatch.chdir(empty)
    assert "holds no release" in CliRunner().invoke(main, ["publish", NAME]).stderr
