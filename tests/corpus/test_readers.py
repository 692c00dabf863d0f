import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kun.corpus.encoding import guess_encoding
from kun.corpus.readers import MAX_LINE, Fields, Record, Reject, raw_files, read

FIELDS = Fields(["text", "content"], ["title"])
ESSAYS = Path(__file__).parents[2] / "data" / "raw" / "essays"
SAVED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def items(path: Path) -> list[Record | Reject]:
    return list(read(path, path.name, FIELDS))


def written(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "河', "malformed_json"),
        ("[" * 100_000, "malformed_json"),
        ('{"text": ' + "1" * 5000 + "}", "malformed_json"),
        ('["河"]', "not_an_object"),
        ('{"body": "河"}', "missing_text"),
        ('{"text": null, "content": "河"}', "null_text"),
        ('{"text": 5}', "wrong_type"),
        ('{"text": " \\u200b\\n"}', "empty_text"),
    ],
)
def test_bad_lines_have_their_reason(tmp_path: Path, line: str, reason: str) -> None:
    found = items(written(tmp_path, "a.jsonl", line + '\n\n{"text": "湖"}\n'))
    assert isinstance(found[0], Reject)
    assert (found[0].origin, found[0].reason) == ("a.jsonl:1", reason)
    assert found[1] == Record("a.jsonl:3", "湖", "")


def test_one_undecodable_line_costs_that_line_only(tmp_path: Path) -> None:
    good = '{"text": "河水", "title": "Ａ"}\n'.encode()
    found = items(written(tmp_path, "a.jsonl", good + b'{"text": "\xe6\xb2\xff"}\n' + good))
    assert [type(item) for item in found] == [Record, Reject, Record]
    assert found[0] == Record("a.jsonl:1", "河水", "A")
    assert isinstance(found[1], Reject)
    assert found[1].reason == "undecodable"
    found[1].excerpt.encode()


def test_files_without_content_and_of_unknown_kind(tmp_path: Path) -> None:
    for name, content, reason in [
        ("a.jsonl", "", "empty_file"),
        ("b.txt", "\n \n", "empty_file"),
        ("c.csv", "text\n", "empty_file"),
        ("d.pdf", "%PDF", "unknown_format"),
    ]:
        (found,) = items(written(tmp_path, name, content))
        assert isinstance(found, Reject)
        assert found.reason == reason
    written(tmp_path, "README.md", "no data")
    written(tmp_path, ".hidden.txt", "no data")
    assert [path.name for path in raw_files(tmp_path)] == ["a.jsonl", "b.txt", "c.csv", "d.pdf"]


def test_broken_gzip_keeps_what_was_read(tmp_path: Path) -> None:
    whole = gzip.compress(("".join(f'{{"text": "河{n * n}"}}\n' for n in range(5000))).encode())
    found = items(written(tmp_path, "a.jsonl.gz", whole[: len(whole) - 20]))
    assert isinstance(found[-1], Reject)
    assert found[-1].reason == "undecodable"
    assert found[-1].value.startswith("gzip:")
    assert all(isinstance(item, Record) for item in found[:-2])


def test_csv_records_keep_the_line_they_start_on(tmp_path: Path) -> None:
    content = '\ufefftitle,text\r\n题,"一\r\n二"\r\n\r\n题,三\r\n题\r\n题,"四"五\r\n题,六\r\n'
    found = items(written(tmp_path, "a.csv", content))
    assert [(item.origin, getattr(item, "reason", item.__class__.__name__)) for item in found] == [
        ("a.csv:2", "Record"),
        ("a.csv:5", "Record"),
        ("a.csv:6", "malformed_csv"),
        ("a.csv:7", "malformed_csv"),
        ("a.csv:8", "Record"),
    ]
    assert found[0] == Record("a.csv:2", "一\n二", "题")


def test_unclosed_quote_is_malformed(tmp_path: Path) -> None:
    found = items(written(tmp_path, "a.csv", 'text\n一\n"二\n三\n'))
    assert [getattr(item, "reason", "") for item in found] == ["", "malformed_csv"]


def test_passages_are_parted_by_blank_lines(tmp_path: Path) -> None:
    found = items(written(tmp_path, "a.txt", "\n一\n二\n\n \n三"))
    assert found == [Record("a.txt:2", "一\n二", ""), Record("a.txt:6", "三", "")]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("city.txt", "utf-8"), ("tea.txt", "gb18030"), ("garden_hant.txt", "big5hkscs")],
)
def test_sample_files_are_recognised(name: str, encoding: str) -> None:
    assert guess_encoding((ESSAYS / name).read_bytes()) == encoding
    assert all(isinstance(item, Record) for item in items(ESSAYS / name))


def test_broken_sample_is_undecodable() -> None:
    found = items(ESSAYS / "broken.txt")
    assert {item.reason for item in found if isinstance(item, Reject)} == {"undecodable"}
    assert len(found) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("text", ["你好，世界。", "江河", "春天来了", "用 Python 写", "1949年成立"])
def test_short_simplified_texts(tmp_path: Path, encoding: str, text: str) -> None:
    assert items(written(tmp_path, "a.txt", text.encode(encoding))) == [Record("a.txt:1", text, "")]


@pytest.mark.parametrize("text", ["你好，世界。", "園林的地方有限", "臺灣", "電腦 123"])
def test_short_traditional_texts(tmp_path: Path, text: str) -> None:
    assert items(written(tmp_path, "a.txt", text.encode("big5"))) == [Record("a.txt:1", text, "")]


def test_utf16_lines_are_counted(tmp_path: Path) -> None:
    found = items(written(tmp_path, "a.jsonl", '{"text": "上"}\n{"text": "਍"}\n'.encode("utf-16")))
    assert [item.origin for item in found] == ["a.jsonl:1", "a.jsonl:2"]


def test_a_line_of_50_mb_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "a"}\n{"text": "')
        for _ in range(50):
            file.write(b"x" * 2**20)
        file.write(b'"}\n{"text": "b"}\n')
    tracemalloc.start()
    found = items(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [getattr(item, "reason", "") for item in found] == ["", "line_too_long", ""]
    assert len(getattr(found[1], "excerpt", "")) <= 200
    assert peak < 5 * MAX_LINE


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_long_lines_of_other_kinds(tmp_path: Path, name: str) -> None:
    found = items(written(tmp_path, name, "text\n\n" + "x" * (MAX_LINE + 1) + "\n\ny\n"))
    assert [getattr(item, "reason", "") for item in found][-2:] == ["line_too_long", ""]


LINES = st.lists(
    st.one_of(
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30),
        st.fixed_dictionaries({"text": st.one_of(st.text(), st.none(), st.integers())}).map(json.dumps),
    ).map(lambda line: line.encode())
    | st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")),
    max_size=12,
)


@SAVED
@given(LINES)
def test_no_line_is_ever_lost(tmp_path: Path, lines: list[bytes]) -> None:
    path = written(tmp_path, "a.jsonl", b"\xef\xbb\xbf" + b"\n".join(lines))
    filled = [line for line in lines if line.decode("utf-8", "replace").strip()]
    found = items(path)
    assert len(found) == max(len(filled), 1)
    assert len({item.origin for item in found}) == len(found)


@SAVED
@given(st.lists(st.lists(st.text('一二，"\n', max_size=5), min_size=2, max_size=2), min_size=1))
def test_no_csv_record_is_ever_lost(tmp_path: Path, rows: list[list[str]]) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [["text", "title"], *rows]]
    assert len(items(written(tmp_path, "a.csv", "\n".join(quoted)))) == len(rows)
