"""Which records are drawn, and how they are shown."""

import shutil
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.errors import InputError
from kun.project import Project
from kun.review.differences import LONGEST, SHORTEST, Run, differences
from kun.review.records import load_records
from kun.review.sample import TABLES, Wanted, sample
from kun.votes.vote import seen_key
from tests.made import store
from tests.review.conftest import BAND, LOW, PAIRS, SHORT, SPAM, key, raw
from tests.select.made import pairs


def drawn(root: Path, **wanted: object) -> set[str]:
    return set(sample(Project(root), Wanted(**wanted), []))  # type: ignore[arg-type]


def keys(*numbers: int) -> set[str]:
    return {key(number) for number in numbers}


def test_each_way_of_choosing(records: Path) -> None:
    assert drawn(records) == keys(*PAIRS)
    assert drawn(records, by="p_good", low=0.3, high=0.5) == keys(5, 6, 7), "from both sides of the threshold"
    assert drawn(records, by="ppl") == keys(*range(11))
    assert drawn(records, by="ifd_ppl", low=0.0, high=1.0) == keys(*PAIRS)
    assert drawn(records, by="length") == keys(*PAIRS)
    assert drawn(records, reason="judge_threshold") == keys(*BAND, LOW)
    assert drawn(records, stage="clean") == keys(SPAM)
    assert drawn(records, stage="pairs", by="p_good", low=0.0, high=0.2) == keys(LOW)
    assert drawn(records, source="essays/tea") == keys(0, 2, 4)
    assert drawn(records, stage="ingest") == {"forum.csv:7"}


@pytest.mark.parametrize("score", TABLES)
def test_every_score_has_its_table(records: Path, score: str) -> None:
    try:
        assert drawn(records, by=score)
    except InputError as error:
        assert score.startswith("rifd"), error  # no reversed losses were taken


def test_a_sample_is_random_the_same_for_all_and_another_with_another_seed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ids = store(project, "mixed", pairs(200))["id"].to_list()
    first = sample(project, Wanted(count=50), [])
    assert len(set(first)) == 50
    assert sample(project, Wanted(count=50), []) == first
    assert sample(project, Wanted(count=20), []) == first[:20], "a larger sample begins with the smaller one"
    other = sample(project, Wanted(count=50, seed=8), [])
    assert 3 <= len({*first} & {*other}) <= 25, "a quarter is expected"
    rest = sample(project, Wanted(count=200), first)
    assert len(rest) == 150
    assert {*rest, *first} == set(ids)
    with pytest.raises(InputError, match=r"nothing to read in data/mixed: you have voted on all 200 of them \(--again"):
        sample(project, Wanted(), ids)


def test_a_record_is_shown_at_the_last_place_that_it_reached(records: Path) -> None:
    found = load_records(
        Project(records), [key(number) for number in (0, 5, 7, SHORT, SPAM)] + ["forum.csv:7", "f" * 32]
    )
    assert list(found) == [key(0), key(5), key(7), key(SHORT), key(SPAM), "forum.csv:7"], "nobody knows the last"
    assert [one.dataset for one in found.values()] == [
        "mixed",
        "mixed",
        "polished",
        "instructions",
        "ingested",
        "rejects",
    ]
    assert [one.rank for one in found.values()] == [1, None, None, None, None, None]
    assert found[key(7)].verdict == {
        "stage": "pairs",
        "reason": "judge_threshold",
        "value": "0.3",
        "threshold": ">= 0.4",
    }
    assert (found[key(SHORT)].output, found[key(SHORT)].instruction) == ("", f"怎样保存第{SHORT}种茶叶？")
    assert (found[key(SPAM)].instruction, found[key(SPAM)].text) == ("", raw(SPAM))
    assert (found["forum.csv:7"].text, found["forum.csv:7"].source) == ("坏行{", "forum")


def test_a_record_that_came_twice_did_not_leave(project: Project) -> None:
    """The ledger of ingest names the id of the row that stayed."""
    from kun.schemas.rejects import REJECT
    from kun.tables.shards import read_dataset, write_dataset

    ledger = read_dataset(project.rejects("ingest"))
    write_dataset(
        project.rejects("ingest"), ledger.with_columns(id=pl.lit(key(5)), reason=pl.lit("duplicate_id")), REJECT
    )
    assert load_records(project, [key(5)])[key(5)].verdict == {}


@pytest.mark.parametrize("reason", ["voted_out", "contaminated"])
def test_what_left_by_anothers_vote_or_edit_is_shown_as_if_nobody_had_voted(project: Project, reason: str) -> None:
    from kun.schemas.rejects import REJECT
    from kun.tables.shards import write_dataset

    row = {"id": key(5), "stage": "select", "status": "dropped", "reason": reason} | dict.fromkeys(
        ("value", "threshold", "source", "excerpt"), ""
    )
    write_dataset(project.rejects("select"), pl.DataFrame([row], schema=REJECT), REJECT)
    assert load_records(project, [key(5)])[key(5)].verdict == {}


@pytest.mark.parametrize("dataset", ["judged", "losses", "perplexity", "selected"])
def test_a_record_of_which_one_dataset_was_pulled_is_shown_as_far_as_that_goes(project: Project, dataset: str) -> None:
    """`dvc pull data/judged` brings neither texts nor the ledger."""
    for folder in (project.root / "data").iterdir():
        if folder.name != dataset:
            shutil.rmtree(folder)
    record = load_records(project, [key(0)])[key(0)]
    source = "essays/tea" if dataset == "selected" else ""
    assert (record.dataset, record.source, record.text, record.verdict) == (dataset, source, "", {})
    assert record.scores or record.rank, "what that dataset says"


def test_what_was_seen_changes_with_each_text_alone() -> None:
    shown = {"instruction": "a", "input": "b", "output": "c", "source": "d"}
    assert seen_key(shown) == seen_key(shown | {"source": "e", "p_good": 0.3})
    assert len({seen_key(shown | {name: "x"}) for name in ("instruction", "input", "output")} | {seen_key(shown)}) == 4
    assert seen_key(shown | {"input": None}) == seen_key(shown | {"input": ""})


# Differences

TEXTS = st.text("茶叶怕光，a<\n", max_size=30)


def whole(runs: list[Run]) -> str:
    return "".join(text for text, _ in runs)


@given(TEXTS, TEXTS)
def test_runs_are_the_texts_again_and_what_is_shared_is_the_same_in_both(left: str, right: str) -> None:
    here, there = differences(left, right)
    assert (whole(here), whole(there)) == (left, right)
    for runs in (here, there):
        assert all(text for text, _ in runs)
        assert all(one[1] != two[1] for one, two in pairwise(runs)), "runs alternate"
    if left and right:
        assert "".join(t for t, shared in here if shared) == "".join(t for t, shared in there if shared)


def test_single_characters_that_meet_by_chance_are_no_agreement() -> None:
    left, right = differences("茶叶应当密封", "把茶放进密封罐")
    assert [text for text, shared in right if shared] == ["密封"]
    assert SHORTEST == 2 and ("茶叶应当", False) in left


def test_an_equal_text_and_one_that_is_too_long_are_one_run() -> None:
    assert differences("茶叶", "茶叶") == ([("茶叶", True)], [("茶叶", True)])
    long = "茶" * (LONGEST + 1)
    assert differences(long, "叶") == ([(long, True)], [("叶", True)])
    assert differences("", "茶") == ([], [("茶", True)])
