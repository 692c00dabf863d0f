"""DVC remotes as docs/sharing.md has them: push, a fresh clone, pull, nothing to run; and what one sees when it goes wrong."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.copies import Copy
from tests.sharing.stores import S3, SSHD, ssh_server

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

STAGES = "stages: {copy: {cmd: mkdir out && cp in.txt out/tea.txt, deps: [in.txt], outs: [out]}}\n"
TEXT = "清明前采的茶最嫩。\n"

Remote = tuple[str, dict[str, str], dict[str, str]]
"""Address; settings for .dvc/config, which git keeps; settings for .dvc/config.local, which it ignores."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A tiny project after its one stage."""
    folder = tmp_path_factory.mktemp("ran")
    copy = Copy(folder / "project", folder / "scratch")
    copy.root.mkdir()
    (copy.root / "in.txt").write_text(TEXT, encoding="utf-8")
    (copy.root / "dvc.yaml").write_text(STAGES, encoding="utf-8")
    copy.must("git", "init", "-q", "-b", "main")
    copy.must("git", "config", "user.name", "test")
    copy.must("git", "config", "user.email", "test@example.org")
    copy.must("dvc", "init", "-q")
    copy.must("dvc", "repro", "-q")
    return copy


@pytest.fixture
def project(ran: Copy, tmp_path: Path) -> Copy:
    shutil.copytree(ran.root, tmp_path / "project", symlinks=True)
    return Copy(tmp_path / "project", tmp_path / "scratch")


@pytest.fixture(params=["folder", "s3", "asyncssh", "sshd"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    if request.param == "folder":
        yield str(tmp_path / "store"), {}, {}
    elif request.param == "s3":
        yield s3_remote(request.getfixturevalue("s3"))
    elif request.param == "sshd" and SSHD is None:
        pytest.skip("OpenSSH's server is not installed; the one of asyncssh stands for it")
    else:
        (tmp_path / "ssh").mkdir()
        with ssh_server(tmp_path / "ssh", request.param) as server:
            yield server.url, {}, {"keyfile": str(server.key)}


def s3_remote(s3: S3) -> Remote:
    return (
        f"s3://{s3.bucket}/kun",
        {"endpointurl": s3.url},
        {"access_key_id": s3.key, "secret_access_key": s3.secret},
    )


def use(copy: Copy, url: str, settings: dict[str, str], secrets: dict[str, str]) -> None:
    """As `dvc remote add -d` and `dvc remote modify [--local]` leave it."""
    section = "['remote \"storage\"']\n"
    (copy.root / ".dvc/config").write_text(
        f"[core]\nremote = storage\n{section}" + lines({"url": url, **settings}), encoding="utf-8"
    )
    (copy.root / ".dvc/config.local").write_text(section + lines(secrets), encoding="utf-8")


def lines(settings: dict[str, str]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


def cloned(copy: Copy) -> Copy:
    copy.must("git", "add", "-A")
    copy.must("git", "commit", "-q", "-m", "state")
    clone = Copy(copy.root.with_name("clone"), copy.scratch)
    copy.must("git", "clone", "-q", str(copy.root), str(clone.root))
    return clone


def test_a_fresh_clone_pulls_and_has_nothing_to_run(project: Copy, remote: Remote) -> None:
    use(project, *remote)
    assert "2 files pushed" in project.must("dvc", "push")
    clone = cloned(project)
    assert not (clone.root / ".dvc/config.local").exists(), "what opens the store stays at home"
    use(clone, *remote)
    assert "2 files fetched" in clone.must("dvc", "pull")
    assert (clone.root / "out/tea.txt").read_text(encoding="utf-8") == TEXT
    told = clone.must("dvc", "repro")
    assert "Running stage" not in told
    assert "up to date" in told


# What one sees: docs/sharing.md quotes these lines


def complaint(copy: Copy, *command: str) -> str:
    done = copy.run(*command)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def test_wrong_credentials_of_s3(project: Copy, s3: S3) -> None:
    url, settings, secrets = s3_remote(s3)
    use(project, url, settings, {**secrets, "secret_access_key": "wrong"})
    told = complaint(project, "dvc", "push")
    assert "403" in told and "Forbidden" in told
    assert s3.key not in told and "wrong" not in told


def test_no_credentials_of_s3(project: Copy, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # else a cloud is asked who this machine is
    url, settings, _ = s3_remote(s3)
    use(project, url, settings, {})
    assert "Unable to locate credentials" in complaint(project, "dvc", "push")


def test_a_missing_bucket(project: Copy, s3: S3) -> None:
    _, settings, secrets = s3_remote(s3)
    use(project, "s3://no-such-bucket/kun", settings, secrets)
    assert "The specified bucket does not exist" in complaint(project, "dvc", "push")


def test_a_key_that_the_ssh_server_does_not_know(project: Copy, tmp_path: Path) -> None:
    (tmp_path / "ssh").mkdir()
    with ssh_server(tmp_path / "ssh", "asyncssh") as server:
        use(project, server.url, {}, {"keyfile": str(server.key.with_name("stranger"))})
        assert "Permission denied for user" in complaint(project, "dvc", "push")


def test_no_remote_and_an_unknown_one(project: Copy) -> None:
    assert "no remote specified" in complaint(project, "dvc", "push")
    assert "remote 'nosuch' doesn't exist" in complaint(project, "dvc", "push", "-r", "nosuch")


def test_data_that_nobody_pushed(project: Copy, tmp_path: Path) -> None:
    use(project, str(tmp_path / "store"), {}, {})
    told = complaint(cloned(project), "dvc", "pull")
    assert "Some of the cache files do not exist neither locally nor on remote" in told
