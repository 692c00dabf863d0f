"""Votes in the stage `select`: who leaves, whose texts change, who stays whatever the filters say."""

import json
from pathlib import Path

import polars as pl
import pytest

from kun.corpus.evals import EvalGrams
from kun.params import Diversity, Rank
from kun.project import Project
from kun.select.choose import select
from kun.tables.shards import read_dataset
from kun.votes.store import append, votes_folder
from kun.votes.vote import Kind, Vote, seen_key
from tests.made import FAKE, PARAMS, assert_conserved, changed, ledger, pinned, reasons, store
from tests.select.made import losses, pairs

COUNT = 8
BY_IFD = changed(
    PARAMS.select,
    votes="protect",
    filters=[{"score": "ifd_ppl", "below": 1.0}],
    rank=Rank("ifd_ppl", True),
    diversity=Diversity("none", 1.0, 3),
    top=3,
)
"""Row 7 never passes; rows 6, 5, 4 are the best of the others."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made, rows = Project(tmp_path), pairs(COUNT)
    store(made, "mixed", rows)
    store(made, "losses", losses(rows, [0.3 * number for number in range(COUNT - 1)] + [2.5]))
    return made


IDS = pairs(COUNT)["id"].to_list()
QUESTION = "光年是时间单位还是长度单位？请说明它的含义。"
"""Of an evaluation set."""


def say(project: Project, row: int, verdict: Kind, reviewer: str = "anna", **values: str) -> None:
    """A vote on what row number `row` of data/mixed says now; `values` are an edit, `seen` another state."""
    shown = pairs(COUNT).row(row, named=True)
    seen = values.pop("seen", seen_key(shown))
    append(votes_folder(project), Vote(shown["id"], "mixed", verdict, reviewer, seen, values))


def run(project: Project, **values: object) -> dict:
    params = changed(BY_IFD, **values)
    counts = select(project, params, FAKE, lambda: EvalGrams([("exam:1", QUESTION)], 13))
    assert counts is not None
    assert_conserved(project, "select", "selected", IDS, counts)
    assert json.loads(project.counts("select").read_text()) == counts
    return counts


def kept(project: Project) -> list[int]:
    """Row numbers in the order of their ranks."""
    rows = read_dataset(project.dataset("selected")).sort("rank")
    assert rows["rank"].to_list() == list(range(1, rows.height + 1))
    return [IDS.index(key) for key in rows["id"]]


def test_without_votes_nothing_changes(project: Project) -> None:
    counts = run(project)
    assert kept(project) == [6, 5, 4]
    assert counts["votes"] == {"stale": 0, "absent": 0, "edited": 0, "protected": 0}
    assert read_dataset(project.dataset("selected"))["edited_by"].unique().to_list() == [""]


@pytest.mark.parametrize("use", ["apply", "protect"])
def test_what_most_drop_leaves_with_who_said_so_and_the_next_takes_its_place(project: Project, use: str) -> None:
    say(project, 6, "drop")
    say(project, 6, "drop", "li")
    say(project, 6, "keep", "wang")
    run(project, votes=use)
    assert kept(project) == [5, 4, 3]
    row = ledger(project, "select").filter(pl.col("id") == IDS[6]).row(0, named=True)
    assert (row["reason"], row["value"]) == ("voted_out", "drop: anna, li; keep: wang")


def test_what_most_keep_passes_filters_and_ranking_and_takes_a_place(project: Project) -> None:
    say(project, 7, "keep")  # its IFD is above 1
    say(project, 0, "keep")  # the last of the ranking
    say(project, 1, "keep")
    say(project, 1, "drop", "li")  # a tie says nothing
    counts = run(project)
    assert kept(project) == [7, 0, 6], "protected ones first, in the order of the ranking"
    assert counts["votes"]["protected"] == 2
    run(project, votes="apply")
    assert kept(project) == [6, 5, 4]


def test_more_protected_rows_than_places_all_stay(project: Project) -> None:
    for row in range(5):
        say(project, row, "keep")
    counts = run(project)
    assert sorted(kept(project)) == [0, 1, 2, 3, 4]
    assert (counts["asked"], counts["kept"]) == (3, 5)


def test_a_protected_row_stays_in_spite_of_quotas_and_repeats_and_uses_them_up(project: Project) -> None:
    same = pairs(COUNT).with_columns(
        instruction=pl.when(pl.int_range(COUNT).is_in([0, 6]))
        .then(pl.lit("怎样在家里长期保存绿茶和红茶？"))
        .otherwise("instruction")
    )
    store(project, "mixed", same)
    append(votes_folder(project), Vote(IDS[0], "mixed", "keep", "anna", seen_key(same.row(0, named=True)), {}))
    run(project, dup_threshold=0.9, quotas={"made": 2}, top=4)
    assert kept(project) == [0, 5]
    why = reasons(project, "select")
    assert why[IDS[6]] == "near_duplicate", "it repeats the protected one, which would be the lower of the two"
    assert {key for key, reason in why.items() if reason == "quota"} == {IDS[row] for row in (1, 2, 3, 4)}


def test_what_repeats_a_protected_row_goes_also_when_that_repeats_another(project: Project) -> None:
    letters = "".join(chr(0x4E00 + 7 * number) for number in range(260))
    texts = [letters[:200], letters[30:230], letters[60:]]  # each shares 0.74 with the next, the first and last 0.54
    near = pairs(COUNT).with_columns(instruction=pl.Series([*texts, *pairs(COUNT)["instruction"][3:]]))
    store(project, "mixed", near)
    for row in (0, 1):
        append(votes_folder(project), Vote(IDS[row], "mixed", "keep", "anna", seen_key(near.row(row, named=True)), {}))
    run(project, dup_threshold=0.65, top=8)
    assert {0, 1} <= set(kept(project))
    assert reasons(project, "select")[IDS[2]] == "near_duplicate"


def test_a_protected_row_without_a_score_is_the_last_of_the_ranking(project: Project) -> None:
    unscored = losses(pairs(COUNT), [0.3 * number for number in range(COUNT - 1)] + [2.5]).with_columns(
        s_cond=pl.when(pl.int_range(COUNT) != 3).then("s_cond")
    )
    store(project, "losses", unscored)
    say(project, 3, "keep")
    say(project, 1, "keep")
    run(project)
    assert kept(project)[:2] == [1, 3]


def test_an_edit_replaces_the_texts_and_says_whose_it_is(project: Project) -> None:
    before = pairs(COUNT).row(6, named=True)
    say(project, 6, "edit", "li", output="改过的回答。")
    counts = run(project)
    row = read_dataset(project.dataset("selected")).filter(pl.col("id") == IDS[6]).row(0, named=True)
    assert (row["instruction"], row["output"], row["edited_by"]) == (before["instruction"], "改过的回答。", "li")
    assert row["p_good"] == before["p_good"]
    assert counts["votes"]["edited"] == 1
    assert counts["votes"]["protected"] == 1, "who edits a pair wants it kept"
    run(project, votes="ignore")
    row = read_dataset(project.dataset("selected")).filter(pl.col("id") == IDS[6]).row(0, named=True)
    assert (row["output"], row["edited_by"]) == (before["output"], "")


@pytest.mark.parametrize(
    "edit",
    [
        {"instruction": f"请回答：{QUESTION}"},
        {"output": "光年——是时间单位，还是长度单位？请想一想。"},
        {"instruction": "光年是时间单位", "output": "还是长度单位。"},
    ],
    ids=["instruction", "output", "both"],
)
@pytest.mark.parametrize("use", ["apply", "protect"])
def test_an_edit_that_quotes_an_evaluation_item_leaves(project: Project, edit: dict[str, str], use: str) -> None:
    say(project, 6, "edit", **edit)
    say(project, 5, "edit", output="改过的回答。")
    counts = run(project, votes=use)
    assert kept(project) == [5, 4, 3]
    row = ledger(project, "select").filter(pl.col("id") == IDS[6]).row(0, named=True)
    assert row["reason"] == "contaminated"
    assert row["value"].startswith("光年是时间单位还是长度单位")
    assert row["value"].endswith("(exam:1)"), "the whole span, and the item"
    assert row["excerpt"] == edit.get("instruction", pairs(COUNT)["instruction"][6])
    assert counts["votes"]["edited"] == 1, "of what stays"
    run(project, votes="ignore")
    assert kept(project) == [6, 5, 4]


def test_what_was_dropped_is_voted_out_whatever_its_edit_quotes(project: Project) -> None:
    say(project, 6, "edit", output=QUESTION)
    say(project, 6, "drop", "li")
    say(project, 6, "drop", "wang")
    run(project)
    assert reasons(project, "select")[IDS[6]] == "voted_out"


def test_the_length_that_a_filter_sees_is_that_of_the_edited_answer(project: Project) -> None:
    say(project, 6, "edit", output="短。")
    run(project, votes="apply", filters=[{"score": "length", "at_least": 3}], rank=Rank("ifd_ppl", True))
    assert reasons(project, "select")[IDS[6]] == "length_low"


def test_a_stale_vote_and_one_on_a_record_elsewhere_are_counted_and_not_applied(project: Project) -> None:
    say(project, 6, "drop", seen="of another text")
    say(project, 5, "edit", seen="of another text", output="改过的回答。")
    append(votes_folder(project), Vote("f" * 32, "polished", "keep", "anna", "x", {}))
    counts = run(project)
    assert kept(project) == [6, 5, 4]
    assert counts["votes"] == {"stale": 2, "absent": 1, "edited": 0, "protected": 0}


def test_the_most_diverse_are_chosen_beside_the_protected(project: Project, tiny_base: Path) -> None:
    pinned(project.root, tiny_base)
    say(project, 7, "keep")
    counts = run(project, diversity=Diversity("facility", 1.0, 3))
    assert kept(project)[0] == 7
    assert counts["kept"] == 3
    assert set(reasons(project, "select").values()) == {"diversity"}


def test_all_places_are_filled_when_a_repeat_leaves_a_gap_in_the_ranking(project: Project) -> None:
    store(
        project,
        "mixed",
        pairs(COUNT).with_columns(
            instruction=pl.when(pl.int_range(COUNT).is_in([5, 6]))
            .then(pl.lit("怎样在家里长期保存绿茶和红茶？"))
            .otherwise("instruction")
        ),
    )
    run(project, dup_threshold=0.9)
    assert kept(project) == [6, 4, 3]
