"""A pilot: some missing rows of a stage, computed as the real run would and kept, and what they say about the others.

The sample is fair: of as many classes of like cost as there are rows to draw, one row each. 95% intervals of tokens and cost are
a bootstrap over the pilot's rows, of time over its rows and the speed of its batches; those of shares are Wilson's. They know
nothing of what else will load the machine.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from kun.params import Engine
from kun.work.plan import Batch, make_batches
from kun.work.telemetry import lines

SEED = 7
DRAWS = 2000
Z = 1.96  # 95% of a normal distribution


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval."""

    value: float
    low: float
    high: float

    def plus(self, known: float) -> "Estimate":
        """Together with what is certain."""
        return Estimate(self.value + known, self.low + known, self.high + known)


@dataclass
class Pilot:
    """What a stage is asked for instead of all its rows; `run_task` fills it in the main process."""

    rows: int
    """To be computed at most."""
    sampled: list[str] = field(default_factory=list)
    """Keys of the rows that were."""
    costs: dict[str, int] = field(default_factory=dict)
    """Key -> tokens that the plan counts with, of all rows of the stage."""
    tokens: dict[str, int] = field(default_factory=dict)
    """Key -> tokens of the prompt."""
    results: pl.DataFrame = field(default_factory=pl.DataFrame)
    """key and results of all rows that are in scratch now."""
    measured: "Measured | None" = None

    def draw(self, missing: Mapping[str, int]) -> dict[str, int]:
        """The rows to compute, one of each class of like cost, by a fixed seed."""
        ordered = sorted(missing, key=lambda key: (missing[key], key))
        rng, n = random.Random(SEED), min(self.rows, len(ordered))
        edges = [place * len(ordered) // n for place in range(n + 1)] if n else []
        self.sampled = [ordered[rng.randrange(low, high)] for low, high in pairwise(edges)]
        return {key: missing[key] for key in self.sampled}

    @property
    def rest(self) -> list[str]:
        """Keys of the rows that the real run will have to compute."""
        done = set(self.results["key"])
        return [key for key in self.costs if key not in done]


@dataclass(frozen=True)
class Measured:
    """What the pilot's rows took."""

    weights: dict[str, float]
    """Key -> tokens in and out, by which a batch's figures fall to its rows."""
    tokens_out: dict[str, float]
    paid: dict[str, float]
    batches: list[Batch]
    seconds: list[float]
    """Of each batch on its device."""
    padded: float
    """Tokens of the batches, by the longest row of each."""
    loading: float
    """Seconds that a process needs before its first row."""
    processes: int
    where: str
    """Device, type and attention."""


def measured(folder: Path, pilot: Pilot) -> Measured | None:
    """The pilot's figures, from the lines of its batches; None when no row was computed."""
    wanted = set(pilot.sampled)
    own = [line for line in lines(folder) if wanted.issuperset(line["keys"])]
    if not own:
        return None
    n_new = dict(pilot.results.select("key", "n_new").iter_rows()) if "n_new" in pilot.results.columns else {}
    weights: dict[str, float] = {}
    tokens_out, paid = {}, {}
    for line in own:
        weights |= {key: pilot.tokens[key] + n_new.get(key, 0) + 1.0 for key in line["keys"]}
        whole = sum(weights[key] for key in line["keys"])
        for key in line["keys"]:
            paid[key] = line["cost"] * weights[key] / whole
            tokens_out[key] = n_new.get(key, line["tokens_out"] / len(line["keys"]))
    last = own[-1]
    return Measured(
        weights,
        tokens_out,
        paid,
        [line["keys"] for line in own],
        [line["seconds"] for line in own],
        sum(len(line["keys"]) * max(pilot.costs[key] for key in line["keys"]) for line in own),
        max(line["loading"] for line in own),
        last["processes"],
        ", ".join(filter(None, (last["device"], last["dtype"], last["attention"]))),
    )


@dataclass(frozen=True)
class Rest:
    """What the rows that are still to be computed will take."""

    tokens_out: Estimate
    seconds: Estimate
    """On the clock, with as many processes as the pilot had; loading the model included."""
    device_seconds: Estimate
    cost: Estimate
    largest: int
    """Rows of the largest batch of the real run."""


def rest_of(pilot: Pilot, told: Measured, engine: Engine) -> Rest:
    """Means of the pilot's rows times the number of the others; time also by how the others fill their batches."""
    rest = {key: pilot.costs[key] for key in pilot.rest}
    batches = make_batches(rest, engine.batch_tokens, engine.max_rows)
    # A few rows of all lengths share batches badly; the whole stage has neighbours of a length.
    computed = sum(len(batch) * max(rest[key] for key in batch) for batch in batches)
    fill = (computed / max(sum(rest.values()), 1)) / (told.padded / sum(pilot.costs[key] for key in told.weights))
    busy = _busy(told, len(rest) * fill)
    load = told.loading if rest else 0.0
    clock = Estimate(*(value / told.processes for value in (busy.value, busy.low, busy.high)))
    return Rest(
        total(list(told.tokens_out.values()), len(rest)),
        clock.plus(load),
        busy.plus(load * told.processes),
        total(list(told.paid.values()), len(rest)),
        max(map(len, batches), default=0),
    )


def _busy(told: Measured, rows: float) -> Estimate:
    """Seconds of all devices together: tokens of a row, times seconds of a token, both drawn anew."""
    rng = np.random.default_rng(SEED)
    sizes = np.array([sum(told.weights[key] for key in batch) for batch in told.batches])
    seconds, weights = np.array(told.seconds), np.array(list(told.weights.values()))
    batches = rng.integers(len(sizes), size=(DRAWS, len(sizes)))
    speed = seconds[batches].sum(axis=1) / sizes[batches].sum(axis=1)
    drawn = speed * rng.choice(weights, size=(DRAWS, len(weights))).mean(axis=1) * rows
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(seconds.sum()) / len(weights) * rows, float(low), float(high))


def total(values: list[float], rows: int) -> Estimate:
    """Of `rows` rows like these."""
    if not rows or not values:
        return Estimate(0.0, 0.0, 0.0)
    drawn = np.random.default_rng(SEED).choice(np.array(values), size=(DRAWS, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975]) * rows
    return Estimate(float(np.mean(values)) * rows, float(low), float(high))


def share(hits: int, n: int) -> Estimate:
    """A share with Wilson's interval, which is never a point, not even when all or none hit."""
    if not n:
        return Estimate(0.0, 0.0, 1.0)
    p, z2 = hits / n, Z * Z / n
    middle, half = (p + z2 / 2) / (1 + z2), Z * np.sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2)
    return Estimate(p, max(0.0, float(middle - half)), min(1.0, float(middle + half)))
