"""What a command has made so far, to be taken back when it does not come to its end."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from kun.tables.shards import place_beside


class Undo:
    """Notes each thing before it is made: what an interrupt leaves half made goes too."""

    def __init__(self) -> None:
        """Nothing is made yet."""
        self._steps: list[Callable[[], object]] = []

    def folder(self, path: Path) -> None:
        """Make it, and those above it that are missing."""
        for missing in reversed([one for one in (path, *path.parents) if not one.exists()]):
            self._steps.append(partial(_remove_empty, missing))
            missing.mkdir(exist_ok=True)

    def file(self, path: Path) -> None:
        """It will be written: taken back, it is gone, or has its old content again."""
        self._steps.append(partial(_restore, path, path.read_bytes() if path.is_file() else None))

    def tree(self, path: Path) -> None:
        """A folder that will be made and filled; one that is there already stays."""
        if not path.exists():
            self._steps.append(partial(shutil.rmtree, path, ignore_errors=True))

    def take_back(self) -> None:
        """The last thing first."""
        while self._steps:
            self._steps.pop()()


@contextmanager
def taken_back_on_error() -> Iterator[Undo]:
    """Whatever ends the block before its end, Ctrl-C too, takes back what was noted; a second Ctrl-C does not stop that."""
    made = Undo()
    try:
        yield made
    except BaseException:
        with _without_interrupts():
            made.take_back()
        raise


@contextmanager
def _without_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # interrupts come to the main thread alone
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # somebody else has put something there
        folder.rmdir()


def _restore(path: Path, before: bytes | None) -> None:
    if before is None:
        path.unlink(missing_ok=True)
    elif not path.is_file() or path.read_bytes() != before:
        beside = place_beside(path)
        beside.write_bytes(before)  # not into the file itself: on a full disk its content would be lost
        os.replace(beside, path)  # noqa: PTH105
