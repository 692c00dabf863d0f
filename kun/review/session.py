"""One reviewer at one sample: which records, which votes, what is next."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kun.corpus.text import normalise
from kun.project import Project
from kun.review.differences import differences
from kun.review.records import Record
from kun.votes.store import append, read_file, standing, votes_folder
from kun.votes.vote import EDITABLE, Vote

EXCERPT = 60


class Session:
    """The records of a sample in their order, and the reviewer's standing votes on them."""

    def __init__(self, project: Project, reviewer: str, records: Sequence[Record], told: str) -> None:
        """`told` says what is read, "" for finished pairs whatever they are like."""
        self.reviewer, self.told = reviewer, told
        self.records = {record.id: record for record in records}
        self.folder = votes_folder(project)
        found = standing(read_file(self.folder / f"{reviewer}.jsonl"))
        self.votes = {key: vote for key, vote in found.items() if key in self.records}
        self._done: list[str] = []

    def vote(self, record: str, verdict: str, edit: Mapping[str, Any], note: str) -> None:
        """Store a vote; KeyError for a record of no sample, ValueError for a senseless vote. It is on the disk on return."""
        known = self.records[record]
        if verdict not in ("keep", "drop", "edit"):
            raise ValueError(f"a vote is keep, drop or edit, not {verdict!r}")
        if not all(isinstance(text, str) for text in edit.values()):
            raise ValueError("an edit maps fields to texts")
        texts = {name: normalise(text) for name, text in edit.items()}
        changed = {name: text for name, text in texts.items() if text != getattr(known, name, None)}
        if verdict == "edit" and not changed:
            raise ValueError("nothing is changed; keep the record instead")
        if unknown := [name for name in changed if name not in editable(known)]:
            raise ValueError(f"this record has no {unknown[0]} to edit")
        vote = Vote(record, known.dataset, verdict, self.reviewer, known.seen, changed, note.strip())  # type: ignore[arg-type]
        self.votes[record] = append(self.folder, vote)
        self._done.append(record)

    def undo(self) -> str | None:
        """Take this session's last vote back; the record's id, None when there is nothing to take back."""
        if not self._done:
            return None
        record = self.records[self._done.pop()]
        append(self.folder, Vote(record.id, record.dataset, "undo", self.reviewer, record.seen))
        left = standing(read_file(self.folder / f"{self.reviewer}.jsonl"))
        self.votes.pop(record.id, None)
        if record.id in left:
            self.votes[record.id] = left[record.id]
        return record.id

    @property
    def counts(self) -> dict[str, int]:
        """Votes of this session by verdict, as they stand."""
        done = Counter(self.votes[key].verdict for key in dict.fromkeys(self._done) if key in self.votes)
        return {verdict: done[verdict] for verdict in ("keep", "drop", "edit")}

    def overview(self) -> dict[str, Any]:
        """All that the page shows beside one record."""
        listed = [
            {"excerpt": _excerpt(record), "verdict": vote.verdict if vote else "", "stale": _stale(record, vote)}
            for record in self.records.values()
            for vote in [self.votes.get(record.id)]
        ]
        return {"reviewer": self.reviewer, "told": self.told, "records": listed, "counts": self.counts}

    def view(self, place: int) -> dict[str, Any]:
        """The record at a place (from 0) as the page shows it; IndexError outside."""
        record = list(self.records.values())[place]
        raw, answer = differences(record.text, record.output)
        vote = self.votes.get(record.id)
        fields = ("id", "dataset", "instruction", "input", "output", "source", "origin", "title", "lang", "method")
        return {
            **{name: getattr(record, name) for name in fields},
            "place": place,
            "raw": raw,
            "answer": answer,
            "scores": {name: round(value, 4) for name, value in record.scores.items()},
            "rank": record.rank,
            "left": dict(record.verdict),
            "editable": editable(record),
            "vote": {"verdict": vote.verdict, "edit": dict(vote.edit), "note": vote.note} if vote else None,
            "stale": _stale(record, vote),
        }


def editable(record: Record) -> list[str]:
    """Fields that an edit may change: those that stages have written."""
    return [name for name in EDITABLE if getattr(record, name)]


def _stale(record: Record, vote: Vote | None) -> bool:
    return vote is not None and vote.seen != record.seen


def _excerpt(record: Record) -> str:
    return " ".join((record.instruction or record.text).split())[:EXCERPT]
