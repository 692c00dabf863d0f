"""How far the work is: one line that moves on a terminal, a plain line now and then elsewhere. stderr, for stdout is data."""

import sys
import time

PLAIN_SECONDS = 15.0


class Progress:
    """Counts finished rows and tokens of one stage."""

    def __init__(self, stage: str, rows: int, reused: int, padding: float) -> None:
        """`rows` are still to be computed, `reused` came from scratch; `padding` is the plan's padding share."""
        self._stage, self._rows, self._padding = stage, rows, padding
        self._done = self._tokens = 0
        self._start = self._last = time.monotonic()
        self._terminal = sys.stderr.isatty()
        if reused:
            print(f"{stage}: {reused} rows are already computed, {rows} to do", file=sys.stderr)

    def add(self, rows: int, tokens: int) -> None:
        """Note a finished batch."""
        self._done += rows
        self._tokens += tokens
        now = time.monotonic()
        if self._terminal or now - self._last >= PLAIN_SECONDS:
            self._tell(now)

    def end(self) -> None:
        """Note that the last batch, of whichever process, is finished."""
        self._tell(time.monotonic())
        if self._terminal:
            print(file=sys.stderr)

    def _tell(self, now: float) -> None:
        self._last = now
        line = self._line(max(now - self._start, 1e-6))
        start, end = ("\r\033[K", "") if self._terminal else ("", "\n")
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)

    def _line(self, seconds: float) -> str:
        left = (self._rows - self._done) * seconds / max(self._done, 1)
        return (
            f"{self._stage}: {self._done}/{self._rows} rows, {self._done / seconds:.1f} rows/s, "
            f"{self._tokens / seconds:.0f} tokens/s, padding {self._padding:.0%}, {left:.0f} s left"
        )
