"""How far the work is: one line that moves on a terminal, a plain line now and then elsewhere. stderr, for stdout is data."""

import sys
import time

PLAIN_SECONDS = 15.0
QUICK_SECONDS = 2.0


class Progress:
    """Counts the finished rows of one stage, or what else its work comes in, and their tokens."""

    def __init__(
        self, stage: str, todo: float, reused: float, unit: str = "rows", padding: float | None = None
    ) -> None:
        """`todo` are still to be computed, `reused` came from scratch; `padding` is the padding share of model work."""
        self._stage, self._todo, self._unit, self._padding = stage, todo, unit, padding
        self._done, self._tokens = 0.0, 0
        self._start = self._last = time.monotonic()
        self._terminal = sys.stderr.isatty()
        if reused:
            print(f"{stage}: {reused:.0f} {unit} are already computed, {todo:.0f} to do", file=sys.stderr)

    def add(self, done: float, tokens: int = 0) -> None:
        """Note finished work."""
        self._done += done
        self._tokens += tokens
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
        start, end = ("\r\033[K", "") if self._terminal else ("", "\n")
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)

    def _line(self, seconds: float) -> str:
        left = (self._todo - self._done) * seconds / max(self._done, 1)
        line = f"{self._stage}: {self._done:.0f}/{self._todo:.0f} {self._unit}, {self._done / seconds:.1f} {self._unit}/s, "
        if self._padding is not None:
            line += f"{self._tokens / seconds:.0f} tokens/s, padding {self._padding:.0%}, "
        return line + f"{max(left, 0.0):.0f} s left"
