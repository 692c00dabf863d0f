"""Which key concepts a question is about: one session or two, one to five concepts, no set twice within a subject."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Literal

from kun.glan.names import seed_of

MOST = 5  # concepts of a question (the paper)
TRIES = 64  # draws that hit a used set, after which the unused ones are listed: a rare case, for most subjects have thousands


@dataclass(frozen=True)
class Sample:
    """Places of sessions in the subject, and of the concepts (session, concept) chosen in them, in ascending order."""

    sessions: tuple[int, ...]
    concepts: tuple[tuple[int, int], ...]

    @property
    def strategy(self) -> Literal["single", "double"]:
        """How many sessions the question spans."""
        return "single" if len(self.sessions) == 1 else "double"


def single_sets(m: int) -> int:
    """Sets of 1 to 5 of the m concepts of a session."""
    return sum(comb(m, size) for size in range(1, MOST + 1))


def double_sets(m1: int, m2: int) -> int:
    """Sets of 2 to 5 concepts with at least one of each of two sessions."""
    return sum(_mixed(m1, m2, size) for size in range(2, MOST + 1))


def sets_over(sizes: Sequence[int]) -> dict[int, int]:
    """Number of sessions (1 or 2) -> sets that a subject offers whose sessions have so many concepts."""
    return {1: sum(map(single_sets, sizes)), 2: sum(double_sets(*pair) for pair in combinations(sizes, 2))}


def every_sample(sizes: Sequence[int], n_sessions: int) -> Iterator[Sample]:
    """All samples over one session, or all over two."""
    for sessions in combinations(range(len(sizes)), n_sessions):
        pool = [(session, concept) for session in sessions for concept in range(sizes[session])]
        for size in range(n_sessions, MOST + 1):
            for chosen in combinations(pool, size):
                if {session for session, _ in chosen} == set(sessions):
                    yield Sample(sessions, chosen)


def draw_samples(
    sizes: Sequence[int], count: int, p_double: float, mode: Literal["sizes", "sets"], *seed: object
) -> list[Sample]:
    """`count` different samples, or all that there are; `sizes` are the concepts of each session, none of them 0.

    Each draw has a seed of its own, made of `seed` and its place: the first samples stay when `count` grows.
    """
    used: dict[Sample, None] = {}
    offered = sets_over(sizes)
    while len(used) < min(count, sum(offered.values())):
        rng = random.Random(seed_of(*seed, len(used)))
        over = 2 if rng.random() < p_double else 1
        taken = sum(len(sample.sessions) == over for sample in used)
        if taken == offered[over]:
            over = 3 - over
        used[_unused(sizes, over, mode, used, rng)] = None
    return list(used)


def _unused(sizes: Sequence[int], over: int, mode: str, used: dict[Sample, None], rng: random.Random) -> Sample:
    for _ in range(TRIES):
        sample = _drawn(sizes, over, mode, rng)
        if sample not in used:
            return sample
    return rng.choice([sample for sample in every_sample(sizes, over) if sample not in used])


def _drawn(sizes: Sequence[int], over: int, mode: str, rng: random.Random) -> Sample:
    groups = list(combinations(range(len(sizes)), over))
    counts = [_sets([sizes[session] for session in group]) for group in groups]
    sessions = rng.choices(groups, counts if mode == "sets" else None)[0]
    ms = [sizes[session] for session in sessions]
    allowed = range(over, min(MOST, sum(ms)) + 1)
    size = rng.choices(allowed, [_of_size(ms, n) for n in allowed] if mode == "sets" else None)[0]
    pool = [(session, concept) for session in sessions for concept in range(sizes[session])]
    while True:
        chosen = sorted(rng.sample(pool, size))
        if {session for session, _ in chosen} == set(sessions):
            return Sample(sessions, tuple(chosen))


def _sets(ms: Sequence[int]) -> int:
    return single_sets(*ms) if len(ms) == 1 else double_sets(*ms)


def _of_size(ms: Sequence[int], size: int) -> int:
    return comb(ms[0], size) if len(ms) == 1 else _mixed(ms[0], ms[1], size)


def _mixed(m1: int, m2: int, size: int) -> int:
    return comb(m1 + m2, size) - comb(m1, size) - comb(m2, size)
