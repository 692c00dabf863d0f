"""How a process leaves its work before the end: behind the batch under way, not in its midst, and with one line.

torchrun sends SIGTERM to the ranks that are left when one dies, and SIGKILL 30 seconds later; so do job schedulers. A launcher
that was killed sends nothing, and nobody would end its ranks.
"""

import signal
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from kun import processes
from kun.errors import Stopped

T = TypeVar("T")


def until_stopped(stage: str, items: Iterable[T]) -> Iterator[T]:
    """The items one by one; Stopped between two of them, or behind the last, once SIGTERM came or the launcher is gone.

    A second SIGTERM ends the process at once, as the first does outside the loop.
    """
    asked = threading.Event()

    def note(*_: Any) -> None:
        asked.set()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    handles = threading.current_thread() is threading.main_thread()  # no other thread may
    before = signal.signal(signal.SIGTERM, note) if handles else None
    try:
        for item in items:
            _stop_if(asked.is_set(), stage)
            yield item
        _stop_if(asked.is_set(), stage)
    finally:
        if handles:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _stop_if(asked: bool, stage: str) -> None:
    kept = "finished batches are kept, run again to go on"
    if asked:
        raise Stopped(f"{stage}: stopped by SIGTERM; {kept}")
    if processes.launcher_is_gone():
        raise Stopped(f"{stage}: stopped, for the launcher was killed; {kept}")
