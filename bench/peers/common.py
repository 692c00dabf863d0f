"""What the scripts of this folder share. They run in environments without kun, so this needs Python alone.

Each script reads texts from a JSONL file (field `text`) and prints one JSON line for each of its contenders; what a library
logs goes to stderr.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

REPEATS = 3
WARM_UP = 50  # texts of a run that is not timed: libraries import and load dictionaries at first use

# What a library would fetch at first use is an error instead.
os.environ.update(HF_HUB_OFFLINE="1", PIP_NO_INDEX="1", UV_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

Found = TypeVar("Found")


def read_texts(path: Path) -> list[str]:
    """Texts in order."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def timed(find: Callable[[Sequence[str]], Found], texts: Sequence[str]) -> tuple[Found, list[float]]:
    """What `find` returns, and the seconds of each repeat; it must not remember anything from one call to the next."""
    seconds = []
    with contextlib.redirect_stdout(sys.stderr):
        find(texts[:WARM_UP])
        for _ in range(REPEATS):
            start = time.perf_counter()
            found = find(texts)
            seconds.append(round(time.perf_counter() - start, 3))
    return found, seconds


def report(contender: str, version: str, texts: Sequence[str], seconds: Sequence[float], **found: Any) -> None:
    """One JSON line on stdout."""
    line = {"contender": contender, "version": version, "documents": len(texts), "seconds": list(seconds), **found}
    print(json.dumps(line, ensure_ascii=False), flush=True)


def compare_near_duplicates(version: str, contenders: dict[str, Callable[[Sequence[str]], list[int]]]) -> None:
    """Time each of them on the texts of the command line; each returns the places of the texts it would drop."""
    texts = read_texts(Path(sys.argv[1]))
    for name, dropped_by in contenders.items():
        dropped, seconds = timed(dropped_by, texts)
        report(name, version, texts, seconds, dropped=dropped)


def compare_rules(version: str, contenders: dict[str, Callable[[Sequence[str]], int]]) -> None:
    """Time each of them on the texts of the command line; each returns the number of texts it keeps."""
    texts = read_texts(Path(sys.argv[1]))
    for name, kept_by in contenders.items():
        kept, seconds = timed(kept_by, texts)
        report(name, version, texts, seconds, kept=kept)
