import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kun.corpus import spans
from kun.corpus.ingest import ingest
from kun.corpus.spans import Span, pieces_of
from kun.params import Params
from kun.project import Project
from kun.tables.shards import read_dataset

SMALL = 2_000


@pytest.fixture
def short_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "SPAN_BYTES", SMALL)


def spans_of(pieces: list[spans.Piece]) -> list[Span]:
    return [span for piece in pieces for span in piece.payload]


def lines(count: int, encoding: str = "utf-8", end: str = "\n") -> bytes:
    records = [
        json.dumps({"text": f"河水流过第{number}座山谷。" * (number % 7 + 1)}, ensure_ascii=False)
        for number in range(count)
    ]
    return end.join(records).encode(encoding)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.text("河a\r ", max_size=40)), st.booleans(), st.integers(1, 60))
def test_ranges_are_whole_lines_and_miss_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], ended: bool, size: int
) -> None:
    monkeypatch.setattr(spans, "SPAN_BYTES", size)
    path = tmp_path / "a.jsonl"
    path.write_bytes("\n".join(texts).encode() + (b"\n" if ended else b""))
    found = spans_of(pieces_of({"a.jsonl": path}, cut_long=True))
    if path.stat().st_size <= size:
        assert [span.within for span in found] == [None]
        return
    content = path.read_bytes()
    ranges = [span.within for span in found if span.within]
    assert b"".join(content[part.start : part.end] for part in ranges) == content
    for part in ranges:
        assert part.first == len(re.findall(rb"\r\n|\r|\n", content[: part.start])) + 1
        assert part.end == len(content) or content[part.end - 1 : part.end] == b"\n"


@pytest.mark.parametrize(
    ("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("gb18030", "\n"), ("utf-16", "\n")]
)
def test_a_cut_file_reads_like_a_whole_one(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch, encoding: str, end: str
) -> None:
    raw = project.root / "data" / "raw" / "a.jsonl"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(
        lines(400, encoding, end)
        + (end + "{broken").encode(encoding.removesuffix("-sig"))[2 * (encoding == "utf-16") :]
    )
    whole = ingest(project, params.ingest)
    rows = read_dataset(project.dataset("ingested"))
    monkeypatch.setattr(spans, "SPAN_BYTES", SMALL)
    assert len(pieces_of({"a.jsonl": raw}, cut_long=True)) > (1 if encoding == "utf-16" else 10) - (
        encoding == "utf-16"
    )
    cut = ingest(project, params.ingest)
    assert read_dataset(project.dataset("ingested")).equals(rows)
    assert cut == whole
    assert whole["rows_in"] == 401
    assert read_dataset(project.rejects("ingest"))["id"].to_list() == ["a.jsonl:401"]


def test_a_line_longer_than_a_range_stays_whole(project: Project, params: Params, short_spans: None) -> None:
    raw = project.root / "data" / "raw" / "a.jsonl"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(lines(3) + b'\n{"text": "' + ("长" * 5 * SMALL).encode() + b'"}\n' + lines(3))
    ingest(project, params.ingest)
    assert read_dataset(project.dataset("ingested"))["origin"].to_list() == [f"a.jsonl:{n}" for n in (1, 2, 3, 4)]


def test_appended_lines_leave_the_ranges_before_them(tmp_path: Path, short_spans: None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(300) + b"\n")
    before = [piece.key for piece in pieces_of({"a.jsonl": path}, cut_long=True)]
    path.write_bytes(path.read_bytes() + lines(5))
    after = [piece.key for piece in pieces_of({"a.jsonl": path}, cut_long=True)]
    assert after[: len(before) - 1] == before[:-1]
    assert after[-1] != before[-1]


def test_a_new_file_changes_the_pieces_around_it_only(tmp_path: Path) -> None:
    def keys(names: list[str]) -> set[str]:
        for name in names:
            (tmp_path / name).write_text(name * 300, encoding="utf-8")
        return {piece.key for piece in pieces_of({name: tmp_path / name for name in sorted(names)}, cut_long=True)}

    names = [f"{number:04d}.txt" for number in range(600)]
    before, after = keys(names), keys([*names, "0300a.txt"])
    assert len(before) > 8, "small files share pieces, but not all one"
    assert len(after - before) <= 2
    assert len(before - after) <= 2


def test_a_file_of_some_size_is_a_piece_of_its_own(tmp_path: Path) -> None:
    files = {}
    for name, size in {"a": 10, "b": 20, "c": spans.SMALL_BYTES, "d": 30}.items():
        files[name] = tmp_path / name
        files[name].write_bytes(b"x" * size)
    assert [[span.name for span in piece.payload] for piece in pieces_of(files, cut_long=True)][-2:] == [["c"], ["d"]]
