"""The processes of `accelerate launch`, told apart by the variables that it sets; a single one needs no import."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_PARENT = os.getppid()
"""The launcher, or who took over this process if the launcher was killed before it came here."""


def rank() -> int:
    """Place of this process among all, on all machines; 0 is the main one."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Processes of the launch, on all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launcher_is_gone() -> bool:
    """Whether the launcher that started this process was killed: it cannot end the others any more when one of them dies."""
    return world_size() > 1 and (os.getppid() != _PARENT or _adopted())


@cache
def _adopted() -> bool:
    """Whether the parent was no launcher from the first: torch's agent starts processes with its own interpreter."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return False  # srun or mpirun
    import psutil

    try:
        return psutil.Process(_PARENT).exe() != psutil.Process().exe()
    except psutil.Error:  # it has ended, or belongs to root
        return True


def wants_sharding() -> bool:
    """Whether the launch asks to spread a model that is trained over its processes (FSDP); accelerate may not do it."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true")


def state() -> Any:
    """accelerate's view: this process's device, and the group that it belongs to.

    Without `cpu` PartialState takes several processes on processors for single ones.
    """
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    with _ending_with_launcher():
        return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def wait_for_all() -> None:
    """Return when every process has come here."""
    if world_size() > 1:
        with _ending_with_launcher():
            state().wait_for_everyone()


@contextmanager
def _ending_with_launcher() -> Iterator[None]:
    """Meanwhile the process ends when its launcher does: for half an hour it would wait for processes that never come."""
    through = threading.Event()

    def watch() -> None:
        while not through.wait(0.5):
            if launcher_is_gone():
                print("kun: the launcher was killed; finished batches are kept, run again to go on", file=sys.stderr)
                os._exit(2)

    if world_size() > 1:
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        through.set()
