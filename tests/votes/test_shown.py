"""What votes are about: the same for the page on which they are given and for those who count them."""

from pathlib import Path

from kun.project import Project
from kun.review.records import load_records
from kun.votes.shown import load_shown
from tests.review.conftest import BAND, PAIRS, SHORT, SPAM, key

ALL = [*(key(number) for number in range(12)), "forum.csv:7", "ff" * 16]


def test_reviewers_and_counters_see_the_same(records: Path) -> None:
    project = Project(records)
    on_the_page, counted = load_records(project, ALL), load_shown(project, ALL)
    assert list(on_the_page) == list(counted) == ALL[:-1], "the last is no record"
    for name, shown in counted.items():
        record = on_the_page[name]
        assert vars(shown).items() <= vars(record).items()
        assert (shown.seen, shown.p_good) == (record.seen, record.scores.get("p_good"))


def test_a_record_is_shown_as_the_last_stage_wrote_it(records: Path) -> None:
    found = load_shown(Project(records), ALL)
    assert {found[key(number)].dataset for number in PAIRS} == {"mixed"}
    assert {found[key(number)].verdict["reason"] for number in BAND} == {"judge_threshold"}
    short, spam, line = found[key(SHORT)], found[key(SPAM)], found["forum.csv:7"]
    assert (short.dataset, short.output, short.verdict["stage"]) == ("instructions", "", "polish")
    assert (spam.dataset, spam.instruction, spam.p_good) == ("ingested", "", None)
    assert (line.dataset, line.verdict["reason"]) == ("rejects", "malformed_json")


def test_no_ids_no_records_even_where_nothing_was_made(tmp_path: Path) -> None:
    assert load_shown(Project(tmp_path), []) == load_shown(Project(tmp_path), ["a"]) == {}
