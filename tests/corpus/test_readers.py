import csv
import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from kun.corpus.encoding import guess_encoding
from kun.corpus.files import MAX_LINE, encoding_of, raw_files
from kun.corpus.items import Record, Reject
from kun.corpus.layouts import Layout, layout_of
from kun.corpus.readers import read

USUAL = Layout(["text", "content"], ["title"])
ESSAYS = Path(__file__).parents[2] / "data" / "raw" / "essays"
SAVED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def items(path: Path) -> list[Record | Reject]:
    return list(read(path, path.name, USUAL))


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


@pytest.mark.parametrize(
    ("answer", "reason", "value"),
    [
        ({}, "missing_text", "no 答; fields: id, 问"),
        ({"答": "\u200b\n"}, "empty_text", "答"),
        ({"答": None}, "null_text", "答"),
    ],
)
def test_a_question_without_its_answer_goes_to_the_ledger(
    tmp_path: Path, answer: dict[str, str | None], reason: str, value: str
) -> None:
    lines = [{"id": "1", "问": "为什么？", **answer}, {"id": "2", "问": "为什么？", "答": "因为。"}]
    path = written(tmp_path, "qa.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    bare, whole = read(path, path.name, layout_of("qa", {"qa": "mnbvc_qa"}, USUAL))
    assert isinstance(bare, Reject)
    assert (bare.origin, bare.reason, bare.value) == ("qa.jsonl:1", reason, value)
    assert "为什么？" in bare.excerpt
    assert whole == Record("qa.jsonl:2", "为什么？\n\n因为。", "")


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
    found = items(written(tmp_path, "a.csv", 'text\n一\n"二\n三\n四\n'))
    assert [getattr(item, "reason", item) for item in found] == [
        Record("a.csv:2", "一", ""),
        "malformed_csv",
        Record("a.csv:4", "三", ""),
        Record("a.csv:5", "四", ""),
    ]
    assert isinstance(found[1], Reject) and (found[1].origin, found[1].excerpt) == ("a.csv:3", '"二')


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


ROWS = [{"title": "题", "text": "河水"}, {"title": "", "text": "湖"}, {"title": "题", "text": "海，\t“大”"}]
LINES_OF_ROWS = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def zst(content: bytes) -> bytes:
    return pyarrow.compress(content, codec="zstd", asbytes=True)  # type: ignore[no-any-return]


def saved(tmp_path: Path, name: str) -> Path:
    """ROWS in a file of the format that `name` says."""
    path = tmp_path / name
    if name.endswith(".parquet"):
        pl.DataFrame(ROWS).write_parquet(path)
    elif ".json" in name and "jsonl" not in name and "lines" not in name:
        path.write_text(json.dumps(ROWS, ensure_ascii=False, indent=1), encoding="utf-8")
    elif ".tsv" in name:
        cells = [["title", "text"], *([row["title"], row["text"].replace("\t", " ")] for row in ROWS)]
        path.write_text("\n".join("\t".join(row) for row in cells), encoding="utf-8")
    elif ".csv" in name:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, ["title", "text"])
            table.writeheader()
            table.writerows(ROWS)
    else:
        path.write_text(LINES_OF_ROWS, encoding="utf-8")
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    elif name.endswith(".zst"):
        path.write_bytes(zst(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.ndjson", "a.json", "a.json.gz", "lines.json"),
        *("a.csv", "a.csv.zst", "a.tsv", "a.tsv.gz", "a.parquet"),
    ],
)
def test_every_format_gives_the_same_records(tmp_path: Path, name: str) -> None:
    found = items(saved(tmp_path, name))
    texts = [(item.title, item.text.replace("\t", " ")) for item in found if isinstance(item, Record)]
    assert texts == [(row["title"], row["text"].replace("\t", " ")) for row in ROWS]
    assert len({item.origin for item in found}) == 3
    assert all(item.origin.startswith(f"{name}:") for item in found)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.json.gz", "a.csv.zst"])
def test_a_torn_archive_is_told(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, name)
    path.write_bytes(path.read_bytes()[:-12])
    *_, last = items(path)
    assert isinstance(last, Reject)
    assert last.reason in ("undecodable", "malformed_json")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_an_array_in_another_encoding(tmp_path: Path, encoding: str) -> None:
    rows = [{"text": "春天来了，河水涨了起来"}, {"text": "他们在院子里种花"}]
    path = written(tmp_path, "a.json", json.dumps(rows, ensure_ascii=False).encode(encoding))
    assert [getattr(item, "text", item) for item in items(path)] == [row["text"] for row in rows]
    assert encoding_of(path) == encoding


def test_a_broken_array_keeps_what_was_read(tmp_path: Path) -> None:
    found = items(written(tmp_path, "a.json", '[{"text": "河"}, ["湖"], {"text": 5}, {"text": "海"'))
    assert [getattr(item, "reason", "") for item in found] == ["", "not_an_object", "wrong_type", "malformed_json"]
    assert [item.origin for item in found] == ["a.json:1", "a.json:2", "a.json:3", "a.json:4"]


def test_broken_and_empty_parquet(tmp_path: Path) -> None:
    (torn,) = items(written(tmp_path, "a.parquet", saved(tmp_path, "b.parquet").read_bytes()[:-9]))
    assert isinstance(torn, Reject) and (torn.origin, torn.reason) == ("a.parquet:1", "malformed_parquet")
    pl.DataFrame(schema={"text": pl.String}).write_parquet(tmp_path / "c.parquet")
    (empty,) = items(tmp_path / "c.parquet")
    assert isinstance(empty, Reject) and empty.reason == "empty_file"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_columns_of_one_name_cannot_be_told_apart(tmp_path: Path, name: str) -> None:
    mark = "\t" if name == "a.tsv" else ","
    path = written(tmp_path, name, f"id{mark}text{mark}text\n1{mark}河{mark}湖\n")
    if name == "a.parquet":
        columns = [pyarrow.array(["1"]), pyarrow.array(["河"]), pyarrow.array(["湖"])]
        parquet.write_table(pyarrow.Table.from_arrays(columns, names=["id", "text", "text"]), path)
    (found,) = items(path)
    assert isinstance(found, Reject)
    assert found.value == "column 'text' stands twice"
    assert found.origin.startswith(name)


def test_a_tab_separated_quote_is_a_character(tmp_path: Path) -> None:
    found = items(written(tmp_path, "a.tsv", 'title\ttext\n"题\t他说"好"\n题\n'))
    assert found[0] == Record("a.tsv:2", '他说"好"', '"题')
    assert isinstance(found[1], Reject) and found[1].value == "1 fields, the header has 2"


def test_markdown_is_one_text_with_its_heading(tmp_path: Path) -> None:
    page = "---\ntags: [茶]\n---\n# 泡茶 #\n\n水温八十度。\n\n## 步骤\n\n先温杯。\n"
    assert items(written(tmp_path, "a.md", page)) == [
        Record("a.md:1", "# 泡茶 #\n\n水温八十度。\n\n## 步骤\n\n先温杯。", "泡茶")
    ]


def test_html_gives_its_main_text(tmp_path: Path) -> None:
    body = "".join(f"<p>{'河水从山谷里流出来，慢慢汇入湖面。' * 4}（{number}）</p>" for number in range(4))
    page = (
        "<html><head><meta charset='gb18030'><title>河与湖</title></head><body><nav><a href='/'>首页</a> <a>登录</a></nav>"
        f"<article><h1>河与湖</h1>{body}</article><footer>版权所有</footer><script>var a = '脚本'</script></body></html>"
    )
    (found,) = items(written(tmp_path, "a.html", page.encode("gb18030")))
    assert isinstance(found, Record)
    assert (found.origin, found.title) == ("a.html:1", "河与湖")
    assert "慢慢汇入湖面。（3）" in found.text
    assert not any(word in found.text for word in ("首页", "脚本", "<p>"))
    (bare,) = items(written(tmp_path, "b.html", "<html><body></body></html>"))
    assert isinstance(bare, Reject) and bare.reason == "empty_text"


def test_a_text_file_can_be_one_text(tmp_path: Path) -> None:
    path = written(tmp_path, "茶.txt", "一\n\n二\n")
    assert list(read(path, path.name, USUAL, whole_txt=True)) == [Record("茶.txt:1", "一\n\n二", "茶")]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a.md", "a.html", "a.parquet"])
@SAVED
@given(content=st.binary(max_size=200))
def test_no_bytes_are_a_crash(tmp_path: Path, name: str, content: bytes) -> None:
    found = items(written(tmp_path, name, content))
    assert found, "a file is always accounted for"
    for item in found:
        (item.text if isinstance(item, Record) else item.value + item.excerpt).encode()


def test_deep_nesting_is_malformed_and_costs_nothing(tmp_path: Path) -> None:
    for depth in (1_500, 100_000):
        array = '[{"text": "河"}, {"text": ' + "[" * depth + "]" * depth + '}, {"text": "湖"}]'
        found = items(written(tmp_path, "a.json", array))
        assert [getattr(item, "reason", "") for item in found] == ["", "malformed_json"]
        lines = items(written(tmp_path, "a.jsonl", '{"text": "河", "more": ' + "[" * depth + "]" * depth + "}\n"))
        assert [getattr(item, "reason", "") for item in lines] in ([""], ["malformed_json"])


def test_a_long_line_that_begins_with_blanks_is_told(tmp_path: Path) -> None:
    long = " " * 300 + '{"text": "' + "x" * MAX_LINE + '"}\n'
    for name in ("a.jsonl", "a.txt"):
        (found,) = items(written(tmp_path, name, long))
        assert isinstance(found, Reject) and found.reason == "line_too_long"


@pytest.mark.parametrize("packer", [gzip.compress, lambda data: pyarrow.compress(data, codec="zstd", asbytes=True)])
def test_a_torn_whole_text_is_told(tmp_path: Path, packer: Callable[[bytes], bytes]) -> None:
    packed = packer("河水。".encode() * 9000)
    name = "a.txt.gz" if packer is gzip.compress else "a.txt.zst"
    (found,) = read(written(tmp_path, name, packed[: len(packed) // 2]), name, USUAL, whole_txt=True)
    assert isinstance(found, Reject) and (found.origin, found.reason) == (name, "undecodable")


def test_parquet_values_that_python_cannot_hold(tmp_path: Path) -> None:
    times = pyarrow.array([2**62], pyarrow.timestamp("us"))
    parquet.write_table(pyarrow.table({"text": ["河"], "when": times}), tmp_path / "a.parquet")
    (found,) = items(tmp_path / "a.parquet")
    assert isinstance(found, Reject) and (found.origin, found.reason) == ("a.parquet:1", "malformed_parquet")
