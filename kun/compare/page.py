"""A diff for the terminal and for a pull request."""

from collections.abc import Iterator
from typing import Any

from kun.compare.diff import Diff
from kun.compare.shifts import Shift, shown
from kun.compare.tables import Dress, escaped, markdown, plain

TOP = 15
"""Rows of a table of sources or reasons, the largest differences first."""
DIGITS = 4


def text(found: Diff) -> str:
    """For the terminal."""
    return "\n\n".join([_headline(found), *filter(None, _tables(found, plain))])


def pull_request(found: Diff) -> str:
    """Markdown, safe whatever the records hold."""
    head = f"### {escaped(_headline(found).splitlines()[0])}\n\n{escaped(_headline(found).splitlines()[1])}"
    return "\n\n".join([head, *filter(None, _tables(found, markdown))])


def _headline(found: Diff) -> str:
    rows = found.rows
    return (
        f"{found.before} -> {found.after}\n{rows.before:,} -> {rows.after:,} rows: {rows.added:,} added, "
        f"{rows.removed:,} removed, {rows.changed:,} changed"
    )


def _tables(found: Diff, dress: Dress) -> Iterator[str]:
    for title, shift in (("Parameters", found.params), ("Models", found.models), ("Inputs and code", found.inputs)):
        yield dress(
            title, ("", "before", "after"), [[one["name"], shown(one["before"]), shown(one["after"])] for one in shift]
        )
    fields = [[name, f"{count:,}"] for name, count in found.rows.fields.items()]
    yield dress("Fields that differ, rows of both versions", ("field", "rows"), fields)
    yield dress("Source", ("", "before", "after", ""), _counts(found.sources))
    yield dress("Method", ("", "before", "after", ""), _counts(found.methods))
    yield dress("Lengths and scores", ("", "", "before", "after", ""), list(_spreads(found.spreads)))
    named = [one | {"name": f"{one['stage']} {one['name']}"} for one in found.reasons]
    yield dress("Why rows left", ("", "before", "after", ""), _counts(named))
    yield dress(
        "Metrics",
        ("", "before", "after"),
        [[one["name"], _number(one["before"]), _number(one["after"])] for one in found.metrics],
    )
    for name in ("added", "removed"):
        rows = [[row["id"][:12], row["source"], row["instruction"], row["output"]] for row in found.rows.samples[name]]
        yield dress(f"Some rows {name}", ("id", "source", "instruction", "answer"), rows)
    changed = [
        [row["id"][:12], name, str(row["before"][name]), str(row["after"][name])]
        for row in found.rows.samples["changed"]
        for name in row["before"]
    ]
    yield dress("Some rows changed", ("id", "field", "before", "after"), changed)


def _counts(shift: Shift) -> list[list[str]]:
    """The largest differences, and how many rows are not shown."""
    ordered = sorted(
        (one for one in shift if one["before"] != one["after"]), key=lambda one: -abs(one["after"] - one["before"])
    )
    rows = [
        [one["name"], f"{one['before']:,}", f"{one['after']:,}", f"{one['after'] - one['before']:+,}"]
        for one in ordered[:TOP]
    ]
    return rows + ([[f"and {len(ordered) - TOP} more", "", "", ""]] if len(ordered) > TOP else [])


def _spreads(shift: Shift) -> Iterator[list[str]]:
    for one in shift:
        before, after = one["before"], one["after"]
        for what in dict.fromkeys([*before, *after]):
            old, new = before.get(what), after.get(what)
            if old != new:
                moved = f"{new - old:+.{DIGITS}g}" if old is not None and new is not None else ""
                yield [one["name"], what, _number(old), _number(new), moved]


def _number(value: Any) -> str:
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else shown(value)
