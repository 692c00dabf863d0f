"""Votes on disk: a file for each reviewer, to which lines are added and in which none is ever changed."""

import fcntl
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from kun.errors import InputError
from kun.project import Project
from kun.votes.vote import Vote, from_line, now, to_line


def votes_folder(project: Project) -> Path:
    """data/votes, which goes into git."""
    return project.root / "data" / "votes"


def append(folder: Path, vote: Vote) -> Vote:
    """Store a vote with the time of now; it is on the disk when this returns. Of two processes one waits for the other."""
    path = folder / f"{vote.reviewer}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last = _mended_end(file)
        timed = replace(vote, time=max(now(), last))  # a clock that was set back must not change which vote is the last
        file.write(f"{to_line(timed)}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    if new:
        _sync_folder(folder)
    return timed


def read_votes(folder: Path) -> list[Vote]:
    """Every reviewer's standing votes, one for each record; [] without a folder. InputError for a line that is no vote."""
    return [vote for path in sorted(folder.glob("*.jsonl")) for vote in standing(read_file(path)).values()]


def read_file(path: Path) -> list[Vote]:
    """All votes of one file in the order of their times; a last line that was cut was never told to be stored."""
    if not path.is_file():
        return []
    *lines, tail = path.read_bytes().split(b"\n")
    if _is_vote(tail):
        lines.append(tail)  # an editor took the line end away
    votes = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            vote = from_line(line.decode("utf-8"))
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}:{number} is no vote ({reason}); mend or delete the line") from None
        if vote.reviewer != path.stem:
            raise InputError(f"{path}:{number} is a vote of {vote.reviewer}; it belongs into {vote.reviewer}.jsonl")
        votes.append(vote)
    return sorted(votes, key=lambda vote: vote.time)  # git's union of two copies of a file may not be in order


def standing(votes: Iterable[Vote]) -> dict[str, Vote]:
    """Id -> the last vote of one reviewer; an undo gives the vote before back."""
    stacks: dict[str, list[Vote]] = {}
    for vote in votes:
        stack = stacks.setdefault(vote.id, [])
        if vote.verdict != "undo":
            stack.append(vote)
        elif stack:
            stack.pop()
    return {key: stack[-1] for key, stack in stacks.items() if stack}


def _mended_end(file: BinaryIO) -> str:
    """Make the file end with a line end, a part of a line cut away; gives the time of the last vote, "" for none."""
    file.seek(0)
    content = file.read()
    end = content.rfind(b"\n") + 1
    tail = content[end:]
    if _is_vote(tail):
        file.write(b"\n")
        return from_line(tail.decode()).time
    if tail:
        file.truncate(end)
    last = content[:end].rstrip(b"\n").rpartition(b"\n")[2]
    return from_line(last.decode()).time if _is_vote(last) else ""


def _is_vote(line: bytes) -> bool:
    try:
        from_line(line.decode("utf-8"))
    except ValueError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """So that the name of a new file survives a loss of power too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
