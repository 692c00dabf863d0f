"""Licences of datasets: one spelling, and whether rows under them may be used."""

from collections.abc import Collection
from dataclasses import dataclass

ALIASES = {
    "apache 2.0": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "apache-2": "apache-2.0",
    "mit license": "mit",
    "cc0": "cc0-1.0",
    "cc-by": "cc-by-4.0",
    "public domain": "cc0-1.0",
}
"""Other spellings of cards -> SPDX in small letters, as the hub writes it."""


@dataclass(frozen=True)
class Verdict:
    """What becomes of a dataset under its licences."""

    licence: str
    """All of them in SPDX spelling, joined by " AND "; "" when there is none."""
    reason: str
    """"" when it may be used; else no_licence, or licence_not_allowed."""
    noncommercial: bool


def judge_licence(named: Collection[str], allowed: Collection[str]) -> Verdict:
    """Each licence that a dataset names must be on the allow-list; none at all is a refusal."""
    found = sorted({spdx(name) for name in named} - {""})
    licence = " AND ".join(found)
    noncommercial = any("-nc" in name for name in found)
    if not found:
        return Verdict("", "no_licence", False)
    wanted = {spdx(name) for name in allowed}
    reason = "" if wanted.issuperset(found) else "licence_not_allowed"
    return Verdict(licence, reason, noncommercial)


def spdx(name: str) -> str:
    """Small letters, known aliases resolved: "CC0-1.0" and "CC0" are the same, "CC BY-SA 3.0" is cc-by-sa-3.0."""
    words = name.lower().split()
    small = ("-" if words[:1] in (["cc"], ["cc0"]) else " ").join(words)
    return ALIASES.get(small, small)
