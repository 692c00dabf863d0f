import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus import boilerplate
from kun.corpus.boilerplate import MIN_HAN, boilerplate_of, line_docs, without_lines
from kun.project import Project
from kun.schemas.datasets import DATASETS
from kun.tables.shards import read_dataset, write_dataset
from kun.work.parts import shard_pieces

from .conftest import store, various

FOOT = "如果发现问题，请在本页下方提出修改建议。"


def rows(source: str, texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"source": source, "text": texts}, schema={"source": pl.String, "text": pl.String})


def removed(texts: pl.DataFrame, min_docs: int = 2) -> list[str]:
    common = line_docs(texts).filter(pl.col("docs") >= min_docs).select("site", "line")
    return without_lines(texts, common).to_list()


def test_lines_are_counted_once_a_text_and_by_site() -> None:
    wiki = rows("wiki/tea", [f"河水\n{FOOT}\n{FOOT}", "山谷"]).vstack(rows("wiki/rice", [f"  {FOOT}  \n湖面"]))
    blog = rows("blog", [FOOT, "云"])
    assert line_docs(wiki.vstack(blog)).select("site", "docs").sort("site").rows() == [("blog", 1), ("wiki", 2)]
    assert removed(wiki.vstack(blog)) == ["河水", "山谷", "湖面", FOOT, "云"]


def test_headings_markup_and_formulas_are_no_boilerplate() -> None:
    lines = [
        "## 操作步骤",
        '<div class="注意事项请您务必仔细阅读">',
        r"\begin{aligned}",
        "+--------------------+",
        "谢谢大家！",
    ]
    assert line_docs(rows("wiki", ["\n".join(lines)] * 9)).is_empty()
    assert line_docs(rows("wiki", ["Click here to read more"] * 2))["docs"].to_list() == [2]


def test_only_whole_lines_go() -> None:
    texts = rows("wiki", [f"河水\n\n{FOOT}\n\n湖面", f"他说{FOOT}", FOOT])
    assert removed(texts) == ["河水\n\n湖面", f"他说{FOOT}", ""]


@given(st.lists(st.text("河水\n ，。")), st.integers(1, 3))
def test_other_lines_stay(texts: list[str], min_docs: int) -> None:
    def filled(text: str) -> list[str]:
        return [stripped for line in text.split("\n") if (stripped := line.strip())]

    common = {
        line
        for line in map(str.strip, "\n".join(texts).split("\n"))
        if sum(map(line.count, "河水")) >= MIN_HAN and sum(line in filled(text) for text in texts) >= min_docs
    }
    for before, after in zip(texts, removed(rows("wiki", texts), min_docs), strict=True):
        assert filled(after) == [line for line in filled(before) if line not in common]


@pytest.mark.parametrize(("size", "at_once"), [(1, 5), (4, 1), (4, 2_000_000), (12, 1)])
def test_texts_of_a_site_count_together_however_they_are_cut(
    project: Project, monkeypatch: pytest.MonkeyPatch, size: int, at_once: int
) -> None:
    monkeypatch.setattr(boilerplate, "LINES_AT_ONCE", at_once)
    store(project, "ingested", [f"{text}\n{FOOT}" for text in various(12)])
    whole = read_dataset(project.dataset("ingested"))
    write_dataset(project.dataset("ingested"), list(whole.iter_slices(size)), DATASETS["ingested"])
    shards = shard_pieces(project.dataset("ingested"))

    def found(min_docs: int) -> list[int]:
        return [lines.height for lines in boilerplate_of(project.scratch, shards, min_docs, "processes")]

    assert found(12) == [1] * len(shards)
    assert found(13) == found(0) == [0] * len(shards)
