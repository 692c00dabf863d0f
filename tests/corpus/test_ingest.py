import json
import os
from dataclasses import replace

import pytest

from kun.corpus.files import source_of
from kun.corpus.ingest import ingest
from kun.errors import InputError
from kun.params import Params
from kun.project import Project
from kun.tables.shards import read_dataset

from .conftest import SAMPLE, changed, reasons


def put(project: Project, name: str, *texts: object) -> None:
    path = project.root / "data" / "raw" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "source"),
    [("howto.jsonl.gz", "howto"), ("essays/tea.txt", "essays/tea"), ("a.b/c.d.jsonl", "a.b/c.d"), ("a/b.pdf", "a/b")],
)
def test_source_is_the_path_without_the_suffix_of_its_format(name: str, source: str) -> None:
    assert source_of(name) == source


def test_rows_and_reasons(project: Project, params: Params) -> None:
    put(project, "b/two.jsonl", "河　水", "湖", "河 水\u200b", None)
    put(project, "one.jsonl", "湖", "The river")
    counts = ingest(project, params.ingest)
    rows = read_dataset(project.dataset("ingested"))
    assert rows.select("text", "source", "origin", "lang", "n_chars").rows() == [
        ("河 水", "b/two", "b/two.jsonl:1", "zh", 3),
        ("湖", "b/two", "b/two.jsonl:2", "zh", 1),
        ("The river", "one", "one.jsonl:2", "en", 9),
    ]
    assert reasons(project, "ingest") == {
        "b/two.jsonl:3": "duplicate_id",
        "b/two.jsonl:4": "null_text",
        "one.jsonl:1": "duplicate_id",
    }
    assert read_dataset(project.rejects("ingest"))["value"].to_list() == ["text", "b/two.jsonl:1", "b/two.jsonl:2"]
    assert counts["rows_in"] == 6


@pytest.mark.parametrize("count", [1, 127, 128, 129, 1000])
def test_every_line_is_counted(project: Project, params: Params, count: int) -> None:
    put(project, "a.jsonl", *[f"河{number % 100}" for number in range(count)])
    counts = ingest(project, params.ingest)
    assert counts["rows_in"] == counts["kept"] + counts["dropped"] == count
    assert counts["kept"] == min(count, 100)


def test_sample_is_seeded_nested_and_in_order(project: Project, params: Params) -> None:
    put(project, "a.jsonl", *[f"河{number}" for number in range(50)], None)

    def sample(**values: int) -> list[str]:
        counts = ingest(project, changed(params.ingest, **values))
        assert counts["rows_in"] == 51
        assert counts["reasons"] == {"limit_per_file": 50 - counts["kept"], "null_text": 1}
        return read_dataset(project.dataset("ingested"))["origin"].to_list()

    ten = sample(limit_per_file=10)
    assert len(ten) == 10
    assert ten == sorted(ten, key=lambda origin: int(origin.split(":")[1]))
    assert set(ten) < set(sample(limit_per_file=20))
    assert ten != sample(limit_per_file=10, seed=8)


def test_nothing_to_read_is_an_error(project: Project, params: Params) -> None:
    with pytest.raises(InputError, match=r"not a folder; set ingest\.path"):
        ingest(project, params.ingest)
    (project.root / "data" / "raw").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no files; put"):
        ingest(project, params.ingest)
    put(project, "a.jsonl", None, 5, None)
    with pytest.raises(InputError, match=r"all 3 records were rejected, most as `null_text` \(2\)"):
        ingest(project, params.ingest)


def test_sample_data(project: Project, params: Params) -> None:
    counts = ingest(project, changed(params.ingest, path=str(SAMPLE)))
    assert counts["reasons"] == {
        "duplicate_id": 4,
        "undecodable": 2,
        "empty_text": 1,
        "malformed_json": 1,
        "null_text": 1,
        "wrong_type": 1,
    }


def test_layouts_and_encodings(project: Project, params: Params) -> None:
    put(project, "usual.jsonl", "河")
    folder = project.root / "data" / "raw" / "faq"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"q": "为什么？", "a": "因为。"}\n', encoding="utf-8")
    (folder / "b.txt").write_bytes("春天来了，河水涨了起来。\n\n他们在院子里种花。".encode("gb18030"))
    counts = ingest(project, replace(params.ingest, layouts={"faq": ["q", "a"]}, txt="file"))
    assert read_dataset(project.dataset("ingested"))["text"].to_list() == [
        "为什么？\n\n因为。",
        "春天来了，河水涨了起来。\n\n他们在院子里种花。",
        "河",
    ]
    assert counts["encodings"] == {"faq/b.txt": "gb18030"}


def test_mojibake_is_undone_before_anything_is_removed(project: Project, params: Params) -> None:
    put(project, "one.jsonl", "河水从山谷里流出来。".encode().decode("latin-1"))
    ingest(project, params.ingest)
    assert read_dataset(project.dataset("ingested"))["text"].to_list() == ["河水从山谷里流出来。"]


def test_links_are_followed_or_told(project: Project, params: Params, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "a.jsonl").write_text('{"text": "河"}\n', encoding="utf-8")
    put(project, "b.jsonl", "湖")
    raw = project.root / "data" / "raw"
    (raw / "wudao").symlink_to(elsewhere)
    assert ingest(project, params.ingest)["by_source"].keys() == {"b", "wudao/a"}
    (raw / "loop").symlink_to(raw)
    with pytest.raises(InputError, match="loop leads back to a folder that it lies in"):
        ingest(project, params.ingest)
    (raw / "loop").unlink()
    (raw / "c.jsonl").symlink_to(raw / "missing")
    with pytest.raises(InputError, match=r"c\.jsonl is a link that leads nowhere"):
        ingest(project, params.ingest)


def test_a_name_that_is_not_in_utf8_is_told(project: Project, params: Params) -> None:
    put(project, "a.jsonl", "湖")
    os.rename(  # noqa: PTH104
        project.root / "data" / "raw" / "a.jsonl", os.fsencode(project.root) + b"/data/raw/\xba\xd3.jsonl"
    )
    with pytest.raises(InputError, match=r"not in UTF-8: '\\udcba\\udcd3\.jsonl'; rename it"):
        ingest(project, params.ingest)


def test_the_ledger_quotes_no_private_data(project: Project, params: Params) -> None:
    text = "张三的手机号是13812345678，请联系。"
    put(project, "a.jsonl", text, text, {"no": text})
    (project.root / "data" / "raw" / "b.jsonl").write_text(json.dumps({"body": text}, ensure_ascii=False))
    ingest(project, params.ingest)
    excerpts = read_dataset(project.rejects("ingest"))["excerpt"].to_list()
    assert len(excerpts) == 3
    assert not any("13812345678" in excerpt for excerpt in excerpts)
    assert sum("【电话】" in excerpt for excerpt in excerpts) == 3


def test_a_licence_moves_nothing(project: Project, params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    put(project, "a.jsonl", *["河" * number for number in range(1, 300)])
    ingest(project, params.ingest)
    ingest(project, replace(params.ingest, licences={"a": "CC0-1.0"}))
    assert "are already computed, 0 to do" in capsys.readouterr().err
