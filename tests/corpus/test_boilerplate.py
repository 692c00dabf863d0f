import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.boilerplate import boilerplate_of, line_docs, without_lines
from kun.project import Project
from kun.schemas import DATASETS
from kun.tables.shards import read_dataset, write_dataset
from kun.work.parts import shard_pieces

from .conftest import store, various

FOOT = "如果发现问题，请在本页下方提出修改建议。"


def rows(source: str, texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"source": source, "text": texts}, schema={"source": pl.String, "text": pl.String})


def test_lines_are_counted_once_a_text_and_by_source() -> None:
    wiki = rows("wiki", [f"河水\n{FOOT}\n{FOOT}", f"  {FOOT}  \n湖面", "山谷"])
    blog = rows("blog", [FOOT, "云"])
    assert line_docs(pl.concat([wiki, blog])).rows() == [("wiki", FOOT, 2)]


def test_headings_markup_and_formulas_are_no_boilerplate() -> None:
    lines = [
        "## 操作步骤",
        '<div class="注意事项请您务必仔细阅读">',
        r"\begin{aligned}",
        "+--------------------+",
        "谢谢大家！",
    ]
    assert line_docs(rows("wiki", ["\n".join(lines)] * 9)).is_empty()
    assert line_docs(rows("wiki", ["Click here to read more"] * 2)).height == 1


def test_only_whole_lines_go() -> None:
    texts = pl.Series([f"河水\n\n{FOOT}\n\n湖面", f"他说{FOOT}", FOOT])
    assert without_lines(texts, [FOOT]).to_list() == ["河水\n\n湖面", f"他说{FOOT}", ""]


@given(st.lists(st.text("河水\n ，。")), st.lists(st.text("河水，。", min_size=1)))
def test_other_lines_stay(texts: list[str], lines: list[str]) -> None:
    def filled(text: str) -> list[str]:
        return [stripped for line in text.split("\n") if (stripped := line.strip())]

    for before, after in zip(texts, without_lines(pl.Series(texts, dtype=pl.String), lines), strict=True):
        assert filled(after) == [line for line in filled(before) if line not in lines]


def test_texts_of_a_source_in_many_shards_count_together(project: Project) -> None:
    store(project, "ingested", [f"{text}\n{FOOT}" for text in various(12)])
    whole = read_dataset(project.dataset("ingested"))
    write_dataset(project.dataset("ingested"), list(whole.iter_slices(4)), DATASETS["ingested"])
    shards = shard_pieces(project.dataset("ingested"))
    assert boilerplate_of(project.scratch, shards, 12, "processes") == [[FOOT]] * 3
    assert boilerplate_of(project.scratch, shards, 13, "processes") == [[]] * 3
    assert boilerplate_of(project.scratch, shards, 0, "processes") == [[]] * 3
