"""How long a user waits for nothing: `kun --help`, and `dvc repro` when all is up to date."""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "kun --help": [sys.executable, "-m", "kun", "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
    "dvc repro (nothing to do)": [sys.executable, "-m", "dvc", "repro", "-q"],
}
REPEATS = 7


def main() -> None:
    """Medians over processes, in turn."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - start)
    for name, values in times.items():
        print(
            f"{name:<28} median {statistics.median(values):6.2f} s  min {min(values):6.2f} s  max {max(values):6.2f} s"
        )


if __name__ == "__main__":
    main()
