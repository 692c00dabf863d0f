import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from kun.errors import Busy
from kun.work import scratch as module
from kun.work import segments
from kun.work.scratch import Scratch, content_key
from tests.made import ROOT

SCHEMA = {"text": pl.String, "n": pl.Int64}


def opened(root: Path, **settings: object) -> Scratch:
    return Scratch(root, "label", settings, SCHEMA)


def rows(*keys: str, text: str = "河") -> pl.DataFrame:
    return pl.DataFrame({"text": [text] * len(keys), "key": keys, "n": 1})


def test_rows_survive_the_process_in_a_folder_of_their_settings(tmp_path: Path) -> None:
    opened(tmp_path, seed=1).append(rows("a", "b"))
    opened(tmp_path, seed=1).append(rows("c"))
    assert sorted(opened(tmp_path, seed=1).read()["key"]) == ["a", "b", "c"]
    assert opened(tmp_path, seed=2).read().is_empty(), "other settings, other results"
    assert opened(tmp_path, seed=2).read().schema == {"key": pl.String, **SCHEMA}
    assert Scratch(tmp_path, "polish", {"seed": 1}, SCHEMA).read().is_empty(), "another stage, other results"


def test_content_keys_follow_the_value_not_its_order() -> None:
    assert content_key({"a": 1, "b": [1, "河"]}) == content_key({"b": [1, "河"], "a": 1})
    assert len({content_key(value) for value in ([1, 2], [2, 1], "12", ["1", "2"], [[1], 2], None, "", [])}) == 8


def test_a_half_written_segment_is_passed_over(tmp_path: Path) -> None:
    """A kill in mid-write leaves a temporary file that is no parquet; it never had a segment's name."""
    scratch = opened(tmp_path)
    scratch.append(rows("a"))
    whole = next(scratch.folder.glob("seg-*.parquet")).read_bytes()
    (scratch.folder / ".0123456789.tmp").write_bytes(whole[: len(whole) // 2])
    assert opened(tmp_path).read()["key"].to_list() == ["a"]
    opened(tmp_path).append(rows("b"))
    assert sorted(opened(tmp_path).read()["key"]) == ["a", "b"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = opened(tmp_path)
    before = sorted(scratch.folder.iterdir())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        scratch.append(rows("a"))
    assert sorted(scratch.folder.iterdir()) == before


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """One bit of the data, which polars would read as other rows."""
    return content[:40] + bytes([content[40] ^ 1]) + content[41:]


def emptied(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("spoil", [truncated, flipped, emptied])
def test_a_spoilt_segment_is_moved_aside_and_its_rows_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[bytes], bytes]
) -> None:
    scratch = opened(tmp_path)
    scratch.append(rows("a", "b"))
    (segment,) = scratch.folder.glob("seg-*")
    segment.write_bytes(spoil(segment.read_bytes()))
    opened(tmp_path).append(rows("c"))
    found = opened(tmp_path)
    assert (found.keys(), found.read()["key"].to_list(), [piece.height for piece in found.pieces()]) == (
        {"c"},
        ["c"],
        [1],
    )
    line = f"{segment} is spoilt; moved to spoilt-{segment.name}, and its rows are computed again\n"
    assert capsys.readouterr().err == line, "told once"
    assert opened(tmp_path).keys() == {"c"}
    assert capsys.readouterr().err == ""


def test_segments_of_before_the_checksums_stay_readable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scratch = opened(tmp_path)
    for number, key in enumerate("abc"):
        scratch.append(rows(key))
        (new,) = (path for path in scratch.folder.glob("seg-*") if len(path.stem) != 36)
        new.rename(scratch.folder / f"seg-{number:032x}.parquet")
    assert opened(tmp_path).keys() == {"a", "b", "c"}
    assert capsys.readouterr().err == ""
    torn, other = (scratch.folder / f"seg-{number:032x}.parquet" for number in (0, 1))
    torn.write_bytes(truncated(torn.read_bytes()))
    pl.DataFrame({"key": ["x"], "other": [1]}).write_parquet(other)
    assert opened(tmp_path).keys() == {"c"}
    assert capsys.readouterr().err.count("is spoilt; moved to") == 2


def test_a_segment_is_held_against_its_name_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(tmp_path).append(rows("a"))
    looked_at: list[int] = []
    real = segments._hash
    monkeypatch.setattr(segments, "_hash", lambda content: looked_at.append(len(content)) or real(content))
    scratch = opened(tmp_path)
    assert scratch.keys() == set(scratch.read()["key"]) == {"a"}
    assert list(scratch.pieces())
    assert len(looked_at) == 1


@pytest.mark.parametrize("torn", ["", '{"seed": ', "\0\0\0", '{"seed": 9}'])
def test_spoilt_settings_are_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str], torn: str) -> None:
    """People read them, no code does: the folder's name is their hash."""
    with opened(tmp_path, seed=1, layers=(1, 2)).locked():
        file = opened(tmp_path, seed=1, layers=(1, 2)).folder / "settings.json"
    whole = file.read_text(encoding="utf-8")
    with opened(tmp_path, seed=1, layers=(1, 2)).locked():
        assert capsys.readouterr().err == ""
    file.write_text(torn, encoding="utf-8")
    with opened(tmp_path, seed=1, layers=(1, 2)).locked():
        assert json.loads(file.read_text(encoding="utf-8")) == json.loads(whole) == {"seed": 1, "layers": [1, 2]}
    assert capsys.readouterr().err == f"{file} is spoilt; written anew\n"


def test_helpers_are_known_until_they_finish(tmp_path: Path) -> None:
    scratch = opened(tmp_path)
    assert not scratch.has_helpers()
    with opened(tmp_path).helping():
        with opened(tmp_path).helping():
            assert scratch.has_helpers(), "several may help"
        assert scratch.has_helpers()
    assert not scratch.has_helpers()


def test_a_key_that_stands_twice_counts_once(tmp_path: Path) -> None:
    scratch = opened(tmp_path)
    scratch.append(rows("a", "b"))
    scratch.append(rows("b", "c"))
    assert sorted(scratch.read()["key"]) == ["a", "b", "c"]


def test_compaction_keeps_every_row_and_begins_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPACT_AT", 5)
    scratch = opened(tmp_path)
    for number in range(4):
        scratch.append(rows(f"{number}", f"shared-{number % 2}", text=f"河{number}"))
    scratch.compact()
    assert len(list(scratch.folder.glob("seg-*"))) == 4, "below the limit nothing moves"
    scratch.append(rows("4"))
    before = scratch.read().filter(~pl.col("key").str.starts_with("shared")).sort("key")
    scratch.compact()
    assert len(list(scratch.folder.glob("seg-*"))) == 1
    after = scratch.read()
    assert after.filter(~pl.col("key").str.starts_with("shared")).sort("key").equals(before)
    assert sorted(after["key"]) == ["0", "1", "2", "3", "4", "shared-0", "shared-1"]


def test_a_kill_in_mid_compaction_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPACT_AT", 3)
    scratch = opened(tmp_path)
    for key in "abc":
        scratch.append(rows(key))

    def killed(self: Path, missing_ok: bool = False) -> None:
        if self.name.startswith("seg-"):
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        scratch.compact()
    monkeypatch.undo()
    assert len(list(scratch.folder.glob("seg-*"))) == 4
    assert sorted(opened(tmp_path).read()["key"]) == ["a", "b", "c"]


HOLDER = """
import sys, time
from kun.work.scratch import Scratch
with Scratch(__import__("pathlib").Path(sys.argv[1]), "label", {}, {}).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process at the work of `label`; it ends with its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("end", ["ends", "is killed"])
def test_a_second_process_waits_for_the_first_and_names_it(
    tmp_path: Path, holder: "subprocess.Popen[str]", capsys: pytest.CaptureFixture[str], end: str
) -> None:
    assert holder.stdin is not None
    with Scratch(tmp_path, "label", {"seed": 2}, {}).locked():
        pass  # other settings are other work
    threading.Timer(0.5, holder.kill if end == "is killed" else holder.stdin.close).start()
    with Scratch(tmp_path, "label", {}, {}).locked():
        assert holder.wait(10) in (0, -9), "the lock came before the end of its holder"
    assert capsys.readouterr().err == f"label: process {holder.pid} is at the same work; waiting for its results\n"


def test_a_launched_process_does_not_wait(
    tmp_path: Path, holder: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(Busy, match=f"^label: process {holder.pid} is at the same work; wait for it or stop it"),
        Scratch(tmp_path, "label", {}, {}).locked(),
    ):
        pytest.fail("two processes held the lock")


def test_pieces_are_the_segments_one_by_one(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, "s", {}, {"value": pl.Int64})
    assert list(scratch.pieces()) == []
    for value in (1, 2):
        scratch.append(pl.DataFrame({"key": [str(value)], "value": [value]}))
    assert sorted(piece["value"].item() for piece in scratch.pieces()) == [1, 2]
