"""The processes of `accelerate launch`, told apart by the variables that it sets; a single one needs no import."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
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
    """Whether the launcher had ended before this process came here.

    torch's agent is a Python above it, with nothing or with a script or profiler between them; whoever adopts a process is none,
    but for a Python that is the first process of a container.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return False  # srun or mpirun
    import psutil

    return not any(map(_is_python, psutil.Process().parents()))


def _is_python(process: Any) -> bool:
    import psutil

    try:
        return "python" in Path(process.exe()).name.lower()
    except psutil.Error:  # it belongs to root
        return False


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
