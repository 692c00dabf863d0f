"""The same stage twice at once: the second start says who is at the work, and does no harm to the first.

    python -m bench.faults.twice

Exit 1 when the first does not come to its end with the bytes of a lonely run, or the second does not name it in one line.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from bench.faults.launched import (
    LAUNCH,
    MODES,
    experiments,
    forget,
    make_project,
    products,
    ranks,
    segments,
    start,
    until,
)
from tests.copies import Copy

STAGE = "label"
PAIRS = (("exp run --temp", "exp run --temp"), ("repro", "exp run --temp"), ("repro", "launch"))
"""Ways of the first and of the second start; `launch` is the stage's command without DVC."""

BUSY = re.compile(
    r"^kun: label: process (\d+) is at the same work; wait for it or stop it, then run again$", re.MULTILINE
)


def twice(copy: Copy, first: str, second: str, whole: dict[str, bytes]) -> list[str]:
    """What was broken when `second` started in the midst of `first`, which is frozen until the second has spoken."""
    forget(copy, STAGE)
    log = copy.scratch.with_name("first.txt")
    running = start(copy, first, STAGE, log)
    until(lambda: len(segments(copy, STAGE)) > 0, "a batch", 0.005)
    holders = ranks(copy)
    for rank in holders:
        rank.suspend()
    refused = copy.run(*(LAUNCH.split() if second == "launch" else MODES[second]), STAGE)
    for rank in holders:
        rank.resume()
    ended = running.wait(300)
    if "--temp" in first:
        (ref,) = experiments(copy)
        shutil.rmtree(copy.project.dataset("labelled"), ignore_errors=True)
        copy.must("dvc", "exp", "apply", ref.rsplit("/", 1)[1])
    checks = {
        f"the first exits {ended}": ended == 0,
        "the second did not fail": refused.returncode != 0,
        f"the second said: {refused.stderr[-500:]}": BUSY.findall(refused.stdout + refused.stderr)
        == [str(holders[0].pid)],
        "other bytes": products(copy, STAGE) == whole,
    }
    return [f"{first}, then {second}: {fault}" for fault, kept in checks.items() if not kept]


def main() -> None:
    """Each pair once."""
    with tempfile.TemporaryDirectory() as name:
        copy = make_project(Path(name) / "finished")
        whole = products(copy, STAGE)
        faults = [fault for first, second in PAIRS for fault in twice(copy, first, second, whole)]
    print(f"{len(PAIRS)} pairs: {len(faults)} faults", *faults, sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
