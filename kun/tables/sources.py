"""Names of sources that params.yaml has and the data have not."""

import difflib
import sys
from collections.abc import Iterable

SHOWN = 5
"""Known names that a line shows where none is near."""
AMONG = 10_000
"""Known names among which the nearest is looked for: where each file is a source there can be millions."""


def warn_unknown(key: str, named: Iterable[str], sources: Iterable[str]) -> None:
    """One line on stderr for each name under `key` that is neither one of `sources` nor the first folder of one.

    A warning, with the nearest name: the source may come later.
    """
    own = sorted(set(sources))
    known = dict.fromkeys([*(source.split("/")[0] for source in own), *own])
    for name in named:
        if name not in known:
            print(f"{key}: no source {name!r} in the data; {_hint(name, list(known)[:AMONG])}", file=sys.stderr)


def _hint(name: str, known: list[str]) -> str:
    if near := difflib.get_close_matches(name, known, n=1):
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(known[:SHOWN])}{', ...' if len(known) > SHOWN else ''}" if known else "it has none"
