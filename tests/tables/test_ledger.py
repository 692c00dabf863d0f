import json
from pathlib import Path

import polars as pl
import pytest

from kun.backtranslate.instructions import instructions
from kun.backtranslate.judge import judge
from kun.backtranslate.label import label
from kun.backtranslate.pairs import pairs
from kun.backtranslate.polish import polish
from kun.corpus.corpus import corpus
from kun.corpus.evals import EvalGrams
from kun.corpus.perplexity import perplexity
from kun.errors import ConservationError
from kun.project import Project
from kun.schemas.rejects import REJECT
from kun.tables.ledger import EXCERPT, close_stage, no_rejects, rejects
from kun.tables.shards import read_dataset
from tests.made import FAKE, PARAMS, assert_conserved, changed, pinned, prose, store, texts

NO_EVALS = EvalGrams([], 13)


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
def test_acceptance_1_conservation(tmp_path: Path, tiny_base: Path, count: int) -> None:
    """Each stage from the corpus to the pairs; those before it have this test in tests/corpus."""
    project = pinned(tmp_path, tiny_base)
    rows = store(project, "decontaminated", texts(prose(count)))
    ids = rows["id"].to_list()
    assert_conserved(project, "perplexity", "perplexity", ids, perplexity(project, PARAMS.perplexity, FAKE))
    some = changed(PARAMS.corpus, limit=count * 3 // 4)
    assert_conserved(project, "corpus", "corpus", ids, corpus(project, some, FAKE))
    ids = read_dataset(project.dataset("corpus"))["id"].to_list()
    limited = changed(PARAMS.label, limit=count * 2 // 3)
    assert_conserved(project, "label", "labelled", ids, label(project, limited, FAKE))
    ids = read_dataset(project.dataset("labelled"))["id"].to_list()
    counts = instructions(project, changed(PARAMS.instructions, max_chars=40), NO_EVALS)
    assert_conserved(project, "instructions", "instructions", ids, counts)
    ids = read_dataset(project.dataset("instructions"))["id"].to_list()
    for mode in ("pair_score", "sampled", "verdict"):
        assert_conserved(project, "judge", "judged", ids, judge(project, changed(PARAMS.judge, mode=mode), FAKE))
    ids = read_dataset(project.dataset("judged"))["id"].to_list()
    assert_conserved(project, "polish", "polished", ids, polish(project, PARAMS.polish, PARAMS.judge, FAKE))
    ids = read_dataset(project.dataset("polished"))["id"].to_list()
    counts = pairs(project, changed(PARAMS.pairs, min_support=0.0), PARAMS.judge, PARAMS.ingest, NO_EVALS)
    assert_conserved(project, "pairs", "pairs", ids, counts)
    assert count < 100 or (counts["kept"] and counts["dropped"]), "the rows must reach the end, or nothing was shown"


def frame(**columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame({"threshold": ["t"], "reason": ["short"], "value": ["1"], "text": ["河水"], **columns})


def test_rejects_fit_the_schema_with_and_without_a_source() -> None:
    row = rejects(frame(id=["a"], source=["wiki"]), "clean").row(0, named=True)
    assert row == {
        "id": "a",
        "stage": "clean",
        "status": "dropped",
        "reason": "short",
        "value": "1",
        "threshold": "t",
        "source": "wiki",
        "excerpt": "河水",
    }
    assert rejects(frame(id=["a"]), "clean", status="failed").select("source", "status").row(0) == ("", "failed")
    assert rejects(frame(id=["a"], answer=["湖"]), "clean", excerpt="answer")["excerpt"].item() == "湖"


def test_long_values_are_cut_to_excerpts() -> None:
    row = rejects(frame(id=["a"], text=["河" * 999], value=["9" * 999]), "clean").row(0, named=True)
    assert row["excerpt"] == "河" * EXCERPT
    assert row["value"] == "9" * EXCERPT


def kept(project: Project, ids: list[str]) -> pl.DataFrame:
    return texts([f"河水{number}" for number in ids]).with_columns(id=pl.Series(ids, dtype=pl.String))


def test_counts_say_what_became_of_each_row(tmp_path: Path) -> None:
    project = Project(tmp_path)
    gone = rejects(frame(id=["c"], source=["wiki"]), "dedup")
    lost = rejects(frame(id=["d"], reason=["out_of_memory"]), "dedup", status="failed")
    counts = close_stage(project, "dedup", "deduped", 4, kept(project, ["a", "b"]), [gone, lost], seconds=3)
    assert counts == {
        "stage": "dedup",
        "rows_in": 4,
        "kept": 2,
        "dropped": 1,
        "failed": 1,
        "reasons": {"out_of_memory": 1, "short": 1},
        "by_source": {
            "made": {"kept": 2, "chars": 6, "rejected": {}},
            "wiki": {"kept": 0, "chars": 0, "rejected": {"short": 1}},
        },
        "seconds": 3,
    }
    assert json.loads(project.counts("dedup").read_text(encoding="utf-8")) == counts
    assert read_dataset(project.dataset("deduped"))["id"].to_list() == ["a", "b"]
    assert read_dataset(project.rejects("dedup"))["id"].to_list() == ["c", "d"]


@pytest.mark.parametrize("rows_in", [1, 3])
def test_a_row_too_few_or_too_many_stops_the_stage_before_it_writes(tmp_path: Path, rows_in: int) -> None:
    project = Project(tmp_path)
    with pytest.raises(ConservationError, match=f"dedup: {rows_in} rows came in, 1 kept \\+ 1 rejected went out"):
        close_stage(project, "dedup", "deduped", rows_in, kept(project, ["a"]), [rejects(frame(id=["c"]), "dedup")])
    assert list(tmp_path.iterdir()) == []


def test_an_empty_ledger_is_readable(tmp_path: Path) -> None:
    project = Project(tmp_path)
    close_stage(project, "dedup", "deduped", 0, kept(project, []), [])
    assert read_dataset(project.rejects("dedup")).schema == pl.Schema(REJECT) == no_rejects().schema
    assert read_dataset(project.dataset("deduped")).height == 0
