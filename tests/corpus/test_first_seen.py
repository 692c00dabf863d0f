from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kun.corpus import ingest as module
from kun.corpus import spans
from kun.corpus.ingest import ingest
from kun.params import Params
from kun.project import Project
from kun.tables.shards import read_dataset, shards
from kun.work.parts import rows_of

from .conftest import PARAMS, reasons
from .test_ingest import put


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is a piece."""
    monkeypatch.setattr(spans, "SMALL_BYTES", 1)


def test_the_first_of_all_shards_stays(project: Project, params: Params, small_pieces: None) -> None:
    put(project, "a.jsonl", "河", "湖", "河", "山", "云")
    put(project, "b.jsonl", "雨", "云", "河")
    put(project, "c.jsonl", "河")
    counts = ingest(project, params.ingest)
    assert len(shards(project.dataset("ingested"))) == 2, "one of a, one of b, none of c"
    assert read_dataset(project.dataset("ingested"))["origin"].to_list() == [
        *("a.jsonl:1", "a.jsonl:2", "a.jsonl:4", "a.jsonl:5", "b.jsonl:1")
    ]
    assert reasons(project, "ingest") == dict.fromkeys(
        ["a.jsonl:3", "b.jsonl:2", "b.jsonl:3", "c.jsonl:1"], "duplicate_id"
    )
    ledger = read_dataset(project.rejects("ingest"))
    assert dict(zip(ledger["id"], ledger["value"], strict=True))["b.jsonl:2"] == "a.jsonl:5"
    assert {
        source: (told["kept"], told["chars"], told["rejected"]) for source, told in counts["by_source"].items()
    } == {
        "a": (4, 4, {"duplicate_id": 1}),
        "b": (1, 1, {"duplicate_id": 2}),
        "c": (0, 0, {"duplicate_id": 1}),
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from("河湖山云雨风"), min_size=1, max_size=8), min_size=1, max_size=4))
def test_every_text_stays_once_and_every_row_is_counted(
    project: Project, small_pieces: None, files: Sequence[Sequence[str]]
) -> None:
    for old in (project.root / "data" / "raw").glob("*"):
        old.unlink()
    for number, texts in enumerate(files):
        put(project, f"{number}.jsonl", *texts)
    counts = ingest(project, PARAMS.ingest)
    everything = [text for texts in files for text in texts]
    assert read_dataset(project.dataset("ingested"))["text"].to_list() == list(dict.fromkeys(everything))
    assert counts["rows_in"] == len(everything)
    for number, texts in enumerate(files):
        told = counts["by_source"][str(number)]
        assert told["kept"] + sum(told["rejected"].values()) == len(texts)


def test_a_piece_with_many_rows_gives_several_shards(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 3)
    put(project, "a.jsonl", "河", "湖", None, "河", "山", "云", "湖")
    counts = ingest(project, params.ingest)
    assert [rows_of(shard) for shard in shards(project.dataset("ingested"))] == [2, 2]
    assert counts["reasons"] == {"duplicate_id": 2, "null_text": 1}
