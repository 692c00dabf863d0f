import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.dedup import dedup
from kun.corpus.text import text_id
from kun.params import Params
from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.tables.shards import read_dataset, write_dataset

from .conftest import PARAMS, SENTENCE, reasons, store, various


def test_first_of_equal_and_similar_texts_stays(project: Project, params: Params) -> None:
    ids = [text_id(f"{number}") for number in range(5)]
    similar = SENTENCE.replace("河水", "溪水").replace("湖面", "水面").replace("风筝", "纸鸢")
    store(project, "cleaned", [SENTENCE, "！！！", SENTENCE.replace("；", "。") + "\n", similar, "？？？"])
    dedup(project, params.dedup)
    assert read_dataset(project.dataset("deduped"))["id"].to_list() == [ids[0], ids[1], ids[4]]
    assert reasons(project, "dedup") == {ids[2]: "exact_duplicate", ids[3]: "near_duplicate"}
    values = read_dataset(project.rejects("dedup"))["value"].to_list()
    assert values[0] == f"same as {ids[0]}"
    assert values[1].startswith("jaccard 0.")
    assert values[1].endswith(f"with {ids[0]}")


def test_what_equals_a_text_that_went_names_the_one_that_stays(project: Project, params: Params) -> None:
    ids = [text_id(f"{number}") for number in range(4)]
    similar = SENTENCE.replace("河水", "溪水").replace("湖面", "水面").replace("风筝", "纸鸢")
    store(project, "cleaned", [SENTENCE, similar, similar.replace("；", "。"), SENTENCE + "！"])
    dedup(project, params.dedup)
    assert reasons(project, "dedup") == dict(zip(ids[1:], ["near_duplicate", *["exact_duplicate"] * 2], strict=True))
    near, *equal = read_dataset(project.rejects("dedup")).sort(pl.col("id").replace_strict(ids, list(range(4))))[
        "value"
    ]
    similarity = near.split()[1]
    assert near == f"jaccard {similarity} with {ids[0]}"
    assert equal == [f"jaccard {similarity} (same as {ids[1]}) with {ids[0]}", f"same as {ids[0]}"]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=2, max_size=8), st.booleans())
def test_every_row_that_left_names_one_that_stays(numbers: list[int], punctuated: bool) -> None:
    words = (("河水", "湖面", "风筝"), ("溪水", "水面", "纸鸢"), ("江水", "海面", "蝴蝶"))
    texts = [SENTENCE.replace("河水", a).replace("湖面", b).replace("风筝", c) for a, b, c in words] + various(1)
    with TemporaryDirectory() as folder:
        project = Project(Path(folder))
        store(project, "cleaned", [texts[number] + "！" * punctuated * place for place, number in enumerate(numbers)])
        dedup(project, PARAMS.dedup)
        stay = read_dataset(project.dataset("deduped"))["id"]
        left = read_dataset(project.rejects("dedup"))
        assert left["value"].str.extract(r"(?:same as|with) (\S+)$").is_in(stay.implode()).all()
        assert left.height + stay.len() == len(numbers)


def test_the_preferred_source_stays_and_rows_keep_their_order(project: Project, params: Params) -> None:
    texts = [*various(3), SENTENCE, SENTENCE]
    store(project, "cleaned", texts)
    rows = read_dataset(project.dataset("cleaned"))
    sources = pl.Series("source", ["web", "books/old", "web", "web", "books/old"])
    write_dataset(project.dataset("cleaned"), rows.with_columns(sources), CLEAN)
    ids = rows["id"].to_list()
    dedup(project, replace(params.dedup, prefer=["books"]))
    assert reasons(project, "dedup") == {ids[3]: "exact_duplicate"}
    assert read_dataset(project.dataset("deduped"))["id"].to_list() == [*ids[:3], ids[4]]
    dedup(project, replace(params.dedup, prefer=["web", "books"]))
    assert reasons(project, "dedup") == {ids[4]: "exact_duplicate"}


def test_only_new_shards_are_signed_and_only_changed_ones_written(
    project: Project, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*groups: list[str], seed: int = 7) -> list[str]:
        frames = []
        for texts in groups:
            store(project, "cleaned", texts)
            frames.append(read_dataset(project.dataset("cleaned")))
        write_dataset(project.dataset("cleaned"), frames, CLEAN)
        dedup(project, replace(params.dedup, seed=seed))
        return capsys.readouterr().err.splitlines()

    def known(stage: str, done: int, todo: int) -> str:
        return f"{stage}: {done} rows are already computed, {todo} to do"

    old, new = [*various(5), SENTENCE], ["新" + text for text in various(4)]
    assert told(old) == [], "all is new, and quick"
    assert told(old, new) == [known("signatures", 6, 4), known("dedup", 6, 4)]
    first = read_dataset(project.dataset("deduped"))
    assert told(new, old)[0] == known("signatures", 10, 0)
    shutil.rmtree(project.scratch)
    assert told(old, new) == []
    assert read_dataset(project.dataset("deduped")).equals(first)
    read = pl.read_parquet(next((project.scratch / "verified").iterdir()))
    assert read.height, "pairs were compared, and are kept"
    assert told(old, new, seed=8) == [known("dedup", 10, 0)], "other hashes, other signatures, the same outcome"


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
def test_conservation(project: Project, params: Params, count: int) -> None:
    texts = various(count)
    store(project, "cleaned", [texts[number // 2 * 2] for number in range(count)])
    counts = dedup(project, params.dedup)
    assert counts["rows_in"] == counts["kept"] + counts["dropped"] == count
    assert counts["reasons"].get("exact_duplicate", 0) == count // 2
