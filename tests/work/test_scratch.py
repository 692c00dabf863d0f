import os
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest

from kun.errors import Busy
from kun.work import scratch as module
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


def test_a_second_process_is_busy_and_names_the_first(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    scratch = Scratch(tmp_path, "label", {}, {})
    with pytest.raises(Busy, match=f"label: process {holder.pid} is at the same work") as caught, scratch.locked():
        pytest.fail("two processes held the lock")
    assert "\n" not in str(caught.value)
    with Scratch(tmp_path, "label", {"seed": 2}, {}).locked():
        pass  # other settings are other work
    holder.kill()
    holder.wait()
    with scratch.locked():
        pass  # the lock died with its holder


def test_pieces_are_the_segments_one_by_one(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, "s", {}, {"value": pl.Int64})
    assert list(scratch.pieces()) == []
    for value in (1, 2):
        scratch.append(pl.DataFrame({"key": [str(value)], "value": [value]}))
    assert sorted(piece["value"].item() for piece in scratch.pieces()) == [1, 2]
