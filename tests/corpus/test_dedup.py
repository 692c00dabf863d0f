import pytest

from kun.corpus.dedup import dedup
from kun.corpus.text import text_id
from kun.params import Params
from kun.project import Project
from kun.tables.shards import read_dataset

from .conftest import SENTENCE, reasons, store, various


def test_first_of_equal_and_similar_texts_stays(project: Project, params: Params) -> None:
    ids = [text_id(f"{number}") for number in range(5)]
    similar = SENTENCE.replace("风筝", "纸鸢")
    store(project, "cleaned", [SENTENCE, "！！！", SENTENCE.replace("；", "。") + "\n", similar, "？？？"])
    dedup(project, params.dedup)
    assert read_dataset(project.dataset("deduped"))["id"].to_list() == [ids[0], ids[1], ids[4]]
    assert reasons(project, "dedup") == {ids[2]: "exact_duplicate", ids[3]: "near_duplicate"}
    values = read_dataset(project.rejects("dedup"))["value"].to_list()
    assert values[0] == f"same as {ids[0]}"
    assert values[1].startswith("jaccard 0.8")
    assert values[1].endswith(f"with {ids[0]}")


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
def test_conservation(project: Project, params: Params, count: int) -> None:
    texts = various(count)
    store(project, "cleaned", [texts[number // 2 * 2] for number in range(count)])
    counts = dedup(project, params.dedup)
    assert counts["rows_in"] == counts["kept"] + counts["dropped"] == count
    assert counts["reasons"].get("exact_duplicate", 0) == count // 2
