"""Two people and one store: the path of docs/sharing.md, with the whole pipeline and a tiny model.

clone -> pull from S3 -> nothing to run -> another threshold as an experiment -> compare -> commit, push -> the first clone
pulls the result, and has nothing to run either. Targets are named: the pipelines beside the main line have never run here,
and DVC calls their outputs missing.
"""

import re
from pathlib import Path

import pytest

from kun.tables.shards import read_dataset
from tests.copies import Copy, duplicate
from tests.sharing.stores import S3

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def ran(told: str) -> list[str]:
    return re.findall(r"^Running stage '(.+)':$", told, re.MULTILINE)


def keep_secret(copy: Copy, s3: S3) -> None:
    """As `dvc remote modify --local` leaves it."""
    local = f"['remote \"storage\"']\naccess_key_id = {s3.key}\nsecret_access_key = {s3.secret}\n"
    (copy.root / ".dvc/config.local").write_text(local, encoding="utf-8")


def clone(server: Path, folder: Path, of: Copy) -> Copy:
    """The repository as somebody else has it; same scratch, as if the machine were theirs."""
    copy = Copy(folder, of.scratch)
    of.must("git", "clone", "-q", str(server), str(folder))
    copy.must("git", "config", "user.name", "colleague")
    copy.must("git", "config", "user.email", "colleague@example.org")
    return copy


def compare(copy: Copy) -> str:
    """What `kun diff` says of the data at HEAD and in the workspace."""
    return copy.must("kun", "diff", "HEAD")


def test_a_colleague_moves_a_threshold_and_the_first_one_gets_the_result(
    finished: Copy, s3: S3, tmp_path: Path
) -> None:
    first = duplicate(finished, tmp_path)
    server = tmp_path / "server.git"
    first.must("git", "clone", "-q", "--bare", ".", str(server))
    first.must("git", "remote", "add", "origin", str(server))

    # The first: store, push
    first.must("dvc", "remote", "add", "-d", "storage", f"s3://{s3.bucket}/colleagues")
    first.must("dvc", "remote", "modify", "storage", "endpointurl", s3.url)
    keep_secret(first, s3)
    assert re.search(r"\d+ files pushed", first.must("dvc", "push"))
    first.commit()
    first.must("git", "push", "-q", "origin", "main")

    # The colleague: clone, pull, nothing to run
    other = clone(server, tmp_path / "colleague", first)
    keep_secret(other, s3)
    assert re.search(r"\d+ files fetched", other.must("dvc", "pull", "dvc.yaml"))
    told = other.must("dvc", "repro")
    assert ran(told) == [] and "up to date" in told

    # Another threshold, compared, kept, pushed
    pairs = read_dataset(other.project.dataset("pairs"))
    threshold = round(float(pairs["p_good"].median()), 6)  # type: ignore[arg-type]
    stages = ran(other.must("dvc", "exp", "run", "-n", "stricter", "-S", f"judge.threshold={threshold}"))
    assert stages[0] == "pairs" and {"select", "release", "report"} <= set(stages), stages
    assert not {"label", "judge", "polish"} & set(stages), "no model works for a threshold"
    kept = read_dataset(other.project.dataset("selected"))
    assert 0 < kept.height < pairs.height
    if "diff" in other.must("kun", "--help").split():
        assert str(pairs.height - kept.height) in compare(other)
    other.must("dvc", "push")
    other.commit()
    other.must("git", "push", "-q", "origin", "main")

    # The first pulls it
    first.must("git", "pull", "-q", "origin", "main")
    assert re.search(r"\d+ files fetched", first.must("dvc", "pull", "dvc.yaml"))
    assert read_dataset(first.project.dataset("selected")).equals(kept)
    told = first.must("dvc", "repro")
    assert ran(told) == [] and "up to date" in told
    assert first.must("git", "status", "--porcelain") == ""
