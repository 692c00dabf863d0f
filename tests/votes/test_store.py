"""Votes on disk: whatever is done and wherever it is cut, what was told to be stored counts."""

import json
import multiprocessing
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.errors import InputError
from kun.votes.majority import decisions
from kun.votes.store import append, read_file, read_votes, standing
from kun.votes.vote import Kind, Vote, from_line, seen_key, to_line

SEEN = seen_key({"instruction": "怎样保存茶叶？", "input": "", "output": "密封。"})
IDS = ("a", "b", "c")
STEPS = st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(("keep", "drop", "edit", "undo"))), max_size=12)


def vote(key: str, verdict: Kind, reviewer: str = "anna", **values: str) -> Vote:
    edit = {"output": values.pop("output", "密封，避光。")} if verdict == "edit" else {}
    return Vote(key, "mixed", verdict, reviewer, values.pop("seen", SEEN), edit, **values)


def modelled(steps: list[tuple[str, Kind]]) -> dict[str, str]:
    """Id -> the verdict that stands after votes and undos."""
    history: dict[str, list[str]] = {key: [] for key in IDS}
    for key, verdict in steps:
        if verdict != "undo":
            history[key].append(verdict)
        elif history[key]:
            history[key].pop()
    return {key: said[-1] for key, said in history.items() if said}


@given(STEPS)
def test_the_last_vote_stands_and_an_undo_gives_the_one_before_back(steps: list[tuple[str, Kind]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for key, verdict in steps:
            append(Path(folder), vote(key, verdict))
        found = read_file(Path(folder) / "anna.jsonl")
        assert [(one.id, one.verdict) for one in found] == steps
        assert {key: one.verdict for key, one in standing(found).items()} == modelled(steps)
        assert [one.time for one in found] == sorted(one.time for one in found)


@given(STEPS.filter(bool), st.data())
def test_a_cut_last_line_costs_that_vote_alone_and_the_next_one_mends_the_file(
    steps: list[tuple[str, Kind]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for key, verdict in steps:
            append(Path(folder), vote(key, verdict, note="理由：不通顺"))
        path = Path(folder) / "anna.jsonl"
        whole = path.read_bytes()
        last = len(whole.splitlines(keepends=True)[-1])
        cut = data.draw(st.integers(1, last), "bytes lost")
        path.write_bytes(whole[: len(whole) - cut])
        left = steps if cut == 1 else steps[:-1]  # without its line end alone it is whole
        assert [(one.id, one.verdict) for one in read_file(path)] == left
        append(Path(folder), vote("b", "drop"))
        assert [(one.id, one.verdict) for one in read_file(path)] == [*left, ("b", "drop")]
        assert path.read_bytes().endswith(b"\n")


@given(
    st.text(min_size=1).filter(lambda text: text.strip() and text.isprintable()), st.text(max_size=50).map(str.strip)
)
def test_a_line_gives_the_vote_back(text: str, note: str) -> None:
    said = Vote("a", "mixed", "edit", "小王", SEEN, {"instruction": text}, note, "2026-01-02T03:04:05.000006+00:00")
    line = to_line(said)
    assert from_line(line) == said
    assert "\n" not in line


def _add(folder: Path, name: str) -> None:
    for number in range(10):
        append(folder, vote(f"{name}{number}", "keep"))


def test_two_processes_lose_no_vote(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_add, args=(tmp_path, name)) for name in "xy"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {one.id for one in read_file(tmp_path / "anna.jsonl")} == {f"{name}{n}" for name in "xy" for n in range(10)}


def test_a_clock_that_was_set_back_does_not_change_which_vote_is_the_last(tmp_path: Path) -> None:
    late = to_line(Vote("a", "mixed", "keep", "anna", SEEN, {}, "", "2999-01-01T00:00:00.000000+00:00"))
    (tmp_path / "anna.jsonl").write_text(late + "\n", encoding="utf-8")
    assert append(tmp_path, vote("a", "drop")).time == "2999-01-01T00:00:00.000000+00:00"
    assert standing(read_file(tmp_path / "anna.jsonl"))["a"].verdict == "drop"


def test_lines_that_git_has_joined_count_in_the_order_of_their_times(tmp_path: Path) -> None:
    lines = [
        to_line(Vote("a", "mixed", verdict, "anna", SEEN, {}, "", f"2026-01-0{day}T00:00:00.000000+00:00"))
        for day, verdict in ((3, "drop"), (1, "keep"), (2, "keep"))
    ]
    (tmp_path / "anna.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [one.verdict for one in read_votes(tmp_path)] == ["drop"]


GOOD = json.loads(to_line(Vote("a", "mixed", "keep", "anna", SEEN, {}, "", "2026-01-02T03:04:05.000006+00:00")))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("<<<<<<< HEAD", "Expecting value"),
        ("[]", "exactly the keys"),
        (json.dumps({**GOOD, "vote": 1}), "exactly the keys"),
        (json.dumps({**GOOD, "verdict": "good"}), "verdict must be one of keep, drop, edit, undo"),
        (json.dumps({**GOOD, "verdict": "edit"}), "an edit changes at least one field"),
        (json.dumps({**GOOD, "edit": {"output": "x"}}), "an edit changes at least one field"),
        (json.dumps({**GOOD, "verdict": "edit", "edit": {"source": "x"}}), "'source' cannot be edited"),
        (json.dumps({**GOOD, "verdict": "edit", "edit": {"output": " \n"}}), "the new output is empty"),
        (json.dumps({**GOOD, "verdict": "edit", "edit": {"instruction": "x" * 10_001}}), "longer than 10,000"),
        (json.dumps({**GOOD, "time": "yesterday"}), "isoformat"),
        (json.dumps({**GOOD, "time": "2026-01-02T03:04:05Z"}), "is not written like"),
        (json.dumps({**GOOD, "note": None}), "every value but edit is text"),
        (json.dumps({**GOOD, "reviewer": "../up"}), "no name for a reviewer"),
    ],
)
def test_a_line_that_is_no_vote_is_named(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "anna.jsonl").write_text(f"{json.dumps(GOOD)}\n{line}\n{json.dumps(GOOD)}\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"anna\.jsonl:2 is no vote \(.*{reason}"):
        read_votes(tmp_path)


def test_a_vote_in_the_file_of_another_is_named(tmp_path: Path) -> None:
    (tmp_path / "li.jsonl").write_text(json.dumps(GOOD) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"li\.jsonl:1 is a vote of anna; it belongs into anna\.jsonl"):
        read_votes(tmp_path)


def test_without_a_folder_there_are_no_votes(tmp_path: Path) -> None:
    assert read_votes(tmp_path / "votes") == []


@pytest.mark.parametrize("name", ["", "Anna", "a/b", ".hidden", "a b", "x" * 41, "..", "a\n"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name for a reviewer"):
        vote("a", "keep", name)


# What a majority decides


def test_the_majority_decides_and_a_tie_keeps() -> None:
    said = {"out": "ddk", "kept": "kkd", "tie": "kd", "edited": "ekd", "alone": "d"}
    kinds: dict[str, Kind] = {"k": "keep", "d": "drop", "e": "edit"}
    votes = [vote(key, kinds[one], f"r{place}") for key, ones in said.items() for place, one in enumerate(ones)]
    found = decisions(votes)
    assert {key for key, one in found.items() if one.out} == {"out", "alone"}
    assert {key for key, one in found.items() if one.kept} == {"kept", "edited"}
    assert found["out"].told == "drop: r0, r1; keep: r2"
    assert found["kept"].edit is None


def test_of_several_edits_the_latest_counts() -> None:
    times = {"wang": "2026-01-01T00:00:00.000000+00:00", "anna": "2026-01-02T00:00:00.000000+00:00"}
    votes = [vote("a", "edit", name, time=time, output=f"{name}写的") for name, time in times.items()]
    assert [found.edit and found.edit.edit for found in decisions(votes).values()] == [{"output": "anna写的"}]
