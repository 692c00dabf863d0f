"""The summary of votes for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from kun.terminal import text_table

Row = Mapping[str, Any]


def told(summary: Row, threshold: float) -> str:
    """All tables that have rows; the present threshold of the judge is marked."""
    if not summary["votes"]:
        return "no votes yet; `kun review` opens the page on which they are given"
    return "\n\n".join(_parts(summary, threshold))


def _parts(summary: Row, threshold: float) -> Iterator[str]:
    head = f"{summary['votes']} votes on {summary['records']} records"
    yield f"{head}: {summary['voted_out']} voted out, {summary['edited']} edited" + (
        f"; {summary['stale']} stale, for the record has changed since" if summary["stale"] else ""
    )
    columns = ("reviewer", "votes", "keep", "drop", "edit", "stale")
    yield text_table(columns, [[str(row[name]) for name in columns] for row in summary["reviewers"]])
    if summary["agreement"]:
        rows = [
            [f"{row['left']}, {row['right']}", str(row["records"]), f"{row['same']:.0%}", _number(row["kappa"])]
            for row in summary["agreement"]
        ]
        yield text_table(("agreement", "records", "same", "kappa"), rows)
    yield from _judge(summary["judge"], threshold)
    if summary["rules"]:
        rows = [
            [f"{row['stage']}: {row['reason']}", str(row["records"]), str(row["kept"]), _share(row["wrong"])]
            for row in summary["rules"]
        ]
        yield text_table(("dropped by", "read", "people keep", "wrong"), rows)


def _judge(judge: Row, threshold: float) -> Iterator[str]:
    if not judge["at_threshold"]:
        return
    area = judge["auc"]
    auc = f"AUC {_number(area['value'])} ({_number(area['low'])} to {_number(area['high'])})" if area else "no AUC"
    yield f"judge, on {judge['good']} good and {judge['bad']} bad instructions: {auc}; shares with their 95% intervals"
    rows = [
        [_marked(row["threshold"], threshold), str(row["passed"]), _share(row["precision"]), _share(row["recall"])]
        for row in judge["at_threshold"]
    ]
    yield text_table(("p_good", "passed", "precision", "recall"), rows)


def _marked(value: float, present: float) -> str:
    return f">= {value:g}" + (" (now)" if value == present else "")


def _share(estimate: Row) -> str:
    if estimate["value"] is None:
        return "-"
    return f"{estimate['value']:.0%} ({estimate['low']:.0%} to {estimate['high']:.0%})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
