"""How far the work is: one line that moves on a terminal, a plain line now and then elsewhere. stderr, for stdout is data."""

import shutil
import sys
import time
from dataclasses import dataclass

PLAIN_SECONDS = 15.0
QUICK_SECONDS = 2.0


@dataclass
class Seen:
    """What the model work of this process has shown so far."""

    rows: float = 0
    tokens_in: int = 0
    tokens_out: int = 0
    failed: int = 0
    memory: int = 0
    """Peak, bytes; of the device where it has its own."""


class Progress:
    """Counts the finished rows of one stage, or what else its work comes in."""

    def __init__(
        self, stage: str, todo: float, reused: float, unit: str = "rows", padding: float | None = None, cost: float = 0
    ) -> None:
        """`todo` are still to be computed, `reused` came from scratch; model work has a padding share and a total cost.

        The time left goes by cost where there is one: rows come longest first.
        """
        self._stage, self._todo, self._unit, self._padding = stage, todo, unit, padding
        self._done, self._cost, self._all = 0.0, 0.0, cost
        self._seen = Seen()
        self._start = self._last = time.monotonic()
        self._terminal = sys.stderr.isatty()
        if reused:
            print(f"{stage}: {reused:.0f} {unit} are already computed, {todo:.0f} to do", file=sys.stderr)

    def start(self) -> None:
        """Begin to count the time now: the model is loaded."""
        self._start = self._last = time.monotonic()

    def add(self, done: float, cost: float = 0, seen: Seen | None = None) -> None:
        """Note finished work; without `seen` of model work another process has it, and like speed is taken for granted."""
        self._done += done
        self._cost += cost
        if seen:
            old = self._seen
            self._seen = Seen(
                old.rows + seen.rows,
                old.tokens_in + seen.tokens_in,
                old.tokens_out + seen.tokens_out,
                old.failed + seen.failed,
                max(old.memory, seen.memory),
            )
        now = time.monotonic()
        if self._terminal or now - self._last >= PLAIN_SECONDS:
            self._tell(now)

    def end(self) -> None:
        """Note that the last work, of whichever process, is finished; of what was quick nothing is told."""
        now = time.monotonic()
        if self._terminal or now - self._start >= QUICK_SECONDS:
            self._tell(now)
            if self._terminal:
                print(file=sys.stderr)

    def _tell(self, now: float) -> None:
        self._last = now
        line = self._line(max(now - self._start, 1e-6))
        if self._terminal:  # a line that wraps would leave its first part behind at each step
            print(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def _line(self, seconds: float) -> str:
        share = self._cost / self._all if self._all else self._done / max(self._todo, 1e-9)
        left = max((1 - share) * seconds / max(share, 1e-9), 0.0) if self._done else 0.0
        line = f"{self._stage}: {self._done:.0f}/{self._todo:.0f} {self._unit}, {self._done / seconds:.1f} {self._unit}/s, "
        return line + (
            f"{left:.0f} s left" if self._padding is None else f"{left:.0f} s left, {self._figures(seconds)}"
        )

    def _figures(self, seconds: float) -> str:
        """Of model work: tokens as if the other processes had met the same, failed rows, padding, memory."""
        seen = self._seen
        speed = self._done / seconds / max(seen.rows, 1)
        failed = f"{seen.failed} failed, " if seen.failed else ""
        return (
            f"tokens/s {seen.tokens_in * speed:.0f} in {seen.tokens_out * speed:.0f} out, {failed}"
            f"padding {self._padding:.0%}, {seen.memory / 1e9:.1f} GB"
        )
