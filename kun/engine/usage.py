"""What a server's work costs, counted where a kill cannot lose it."""

from pathlib import Path

MILLION = 1e6


class Usage:
    """Tokens of one stage's requests to one model, and their price.

    Each answered request adds a line to a file in scratch. So rows that were paid for and lost with a killed batch still
    count, and so do those of other runs and of the other processes of this one.
    """

    def __init__(self, file: Path, price_in: float, price_out: float) -> None:
        """Prices are of a million tokens."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._prices = file, (price_in, price_out)
        self._seen, self._spent = 0, 0.0
        self.tokens_in = 0
        """Of this process, as `tokens_out` and `cost`."""
        self.tokens_out = 0

    def add(self, tokens_in: int, tokens_out: int) -> None:
        """Note an answered request."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        with self._file.open("a", encoding="ascii") as file:
            file.write(f"{tokens_in} {tokens_out}\n")

    @property
    def cost(self) -> float:
        """What this process has spent."""
        return self._price(self.tokens_in, self.tokens_out)

    def spent(self) -> float:
        """What all runs and processes have spent."""
        if self._file.is_file():
            with self._file.open("rb") as file:
                file.seek(self._seen)
                lines = file.read()
            whole = lines[: lines.rfind(b"\n") + 1]
            self._seen += len(whole)
            self._spent += sum(self._price(*map(int, line.split())) for line in whole.splitlines())
        return self._spent

    def _price(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self._prices[0] + tokens_out * self._prices[1]) / MILLION
