"""Where stateless work runs: processes of this machine, or a Ray cluster that shares the file system."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

from kun.errors import ConfigError, WorkerDied
from kun.params import Executor

T = TypeVar("T")

_ONE_THREAD = {"POLARS_MAX_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

RETRIES = 3
"""Times that Ray computes a piece again whose node died."""


def run_each(function: Callable[[T], None], items: Sequence[T], executor: Executor) -> Iterator[int]:
    """Call `function` on every item, wherever there is room; yields the place of each that is done.

    An error of the function ends the run with that error; what is under way elsewhere is waited for. Raises WorkerDied
    when a process of this machine was killed.
    """
    if executor == "ray":
        yield from _on_ray(function, items)
    elif min(cores(), len(items)) > 1:
        yield from _in_processes(function, items)
    else:
        for place, item in enumerate(items):
            function(item)
            yield place


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_processes(function: Callable[[T], None], items: Sequence[T]) -> Iterator[int]:
    """A worker a core, each with one thread: they would only get in each other's way with more."""
    with (
        _environment(_ONE_THREAD),
        ProcessPoolExecutor(min(cores(), len(items)), get_context("spawn"), _end_with_parent) as pool,
    ):
        running = {pool.submit(function, item): place for place, item in enumerate(items)}
        try:
            for done in as_completed(running):
                done.result()
                yield running[done]
        except BrokenProcessPool:
            raise WorkerDied(
                "a worker process died (out of memory, or killed); finished pieces are kept, run again"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """A worker holds both ends of the queue that it waits at, so it would never notice that the main process was killed."""

    def watch() -> None:
        if parent := parent_process():
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def _on_ray(function: Callable[[T], None], items: Sequence[T]) -> Iterator[int]:
    """A task an item; RAY_ADDRESS names the cluster, else Ray starts one on this machine."""
    try:
        import ray
    except ModuleNotFoundError:
        raise ConfigError("executor: ray needs Ray; run: pip install 'kun[ray]', or set it to processes") from None
    mine = not ray.is_initialized()
    if mine:
        ray.init(**_ray_settings())
    try:
        task = ray.remote(max_retries=RETRIES, num_cpus=1)(_called)
        running = {task.remote(function, item): place for place, item in enumerate(items)}
        while running:
            (done,), _ = ray.wait(list(running))
            ray.get(done)
            yield running.pop(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise WorkerDied(f"Ray gave a piece up ({reason}); finished pieces are kept, run again") from None
    finally:
        if mine:
            ray.shutdown()


def _ray_settings() -> dict[str, Any]:
    """Quiet, without telemetry; a cluster that Ray starts itself listens on this machine alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    settings = {"logging_level": logging.ERROR, "log_to_driver": False, "runtime_env": {"env_vars": _ONE_THREAD}}
    if not os.environ.get("RAY_ADDRESS"):
        settings |= {"address": "local", "_node_ip_address": "127.0.0.1", "include_dashboard": False}
    return settings


def _called(function: Callable[[Any], None], item: Any) -> None:
    function(item)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables that the workers started meanwhile inherit."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
