"""One vote, and the line that holds it."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from kun.work.scratch import content_key

Verdict = Literal["keep", "drop", "edit"]
Kind = Literal[Verdict, "undo"]
"""`undo` takes the reviewer's last standing vote on the record back."""

EDITABLE = {"instruction": 10_000, "output": 100_000}
"""Field of a pair -> the most characters that the gate of the release lets it have."""
NAME = re.compile(r"\w[\w.-]{0,39}")
NOTE = 2_000


@dataclass(frozen=True)
class Vote:
    """What one person says of one record as it was shown."""

    id: str
    dataset: str
    """Where the record as shown came from: "mixed" for a finished pair, else the last dataset that has it."""
    verdict: Kind
    reviewer: str
    seen: str
    """`seen_key` of what was shown: a record that has changed since has another one, and the vote is stale."""
    edit: Mapping[str, str] = field(default_factory=dict)
    """New texts by field, of the verdict `edit` alone."""
    note: str = ""
    time: str = ""
    """UTC, ISO 8601 with microseconds; given when the vote is stored."""

    def __post_init__(self) -> None:
        check_name(self.reviewer)
        if not self.id or not self.seen or not self.dataset:
            raise ValueError("a vote needs id, dataset and seen")
        if self.verdict not in get_args(Kind):
            raise ValueError(f"verdict must be one of {', '.join(get_args(Kind))}, not {self.verdict!r}")
        if bool(self.edit) != (self.verdict == "edit"):
            raise ValueError("an edit changes at least one field, and no other verdict does")
        for name, text in self.edit.items():
            _check_text(name, text)
        if len(self.note) > NOTE:
            raise ValueError(f"the note is longer than {NOTE} characters")


def check_name(name: str) -> None:
    """ValueError unless a reviewer's name can be a file name, in small letters: disks that fold case would mix two."""
    if not NAME.fullmatch(name) or name != name.lower():
        raise ValueError(
            f"{name!r} is no name for a reviewer: up to 40 small letters, digits, dots and hyphens, like anna"
        )


def seen_key(record: Mapping[str, Any]) -> str:
    """Hash of what a reviewer was shown: instruction, input and output, "" where the record has none yet."""
    return content_key([record.get(name) or "" for name in ("instruction", "input", "output")])


def now() -> str:
    """The present time as votes have it."""
    return _stamp(datetime.now(UTC))


def to_line(vote: Vote) -> str:
    """JSON without a line end: id first, then what was said."""
    return json.dumps(asdict(vote), ensure_ascii=False)


def from_line(line: str) -> Vote:
    """The vote of a line; ValueError for anything else."""
    found = json.loads(line)
    if not isinstance(found, dict) or set(found) != set(Vote.__dataclass_fields__):
        raise ValueError(f"a vote has exactly the keys {', '.join(Vote.__dataclass_fields__)}")
    if not all(isinstance(value, str) for name, value in found.items() if name != "edit"):
        raise ValueError("every value but edit is text")
    if not isinstance(found["edit"], dict):
        raise ValueError("edit maps fields to texts")
    if _stamp(datetime.fromisoformat(found["time"])) != found["time"]:
        raise ValueError(f"the time {found['time']!r} is not written like {_stamp(datetime.fromtimestamp(0, UTC))}")
    return Vote(**found)


def _stamp(time: datetime) -> str:
    """One form for all, so that the order of texts is that of times."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _check_text(name: str, text: object) -> None:
    if name not in EDITABLE:
        raise ValueError(f"{name!r} cannot be edited; {', '.join(EDITABLE)} can")
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"the new {name} is empty")
    if len(text) > EDITABLE[name]:
        raise ValueError(f"the new {name} is longer than {EDITABLE[name]:,} characters")
