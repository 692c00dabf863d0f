"""Findings of all shards -> the report, its page and the message of a failed gate."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kun.gate.engine import Example, Outcome
from kun.gate.suite import Expectation, Suite

_IDS = 5
_WIDTH = 60


@dataclass(frozen=True)
class Finding:
    """The verdict on one expectation over the whole dataset."""

    expectation: Expectation
    part: str
    """`rows` or `facts`."""
    status: str
    """`passed`, `failed` or `skipped`."""
    observed: Any
    checked: int | None
    unexpected: int | None
    examples: list[Example]
    note: str
    """Why it was not evaluated, "" when it was."""


def pooled(expectation: Expectation, part: str, outcomes: Sequence[Outcome], limit: int) -> Finding:
    """Join the outcomes of all shards (at least one).

    Values are counted over the whole dataset, so that `mostly` speaks of it and not of its unluckiest shard; an
    expectation that does not count values must hold in every shard.
    """
    worst = next((outcome for outcome in outcomes if not outcome.passed), outcomes[0])
    if worst.checked is None:
        return Finding(expectation, part, _status(worst.passed), worst.observed, None, None, [], "")
    checked = sum(outcome.checked or 0 for outcome in outcomes)
    unexpected = sum(outcome.unexpected or 0 for outcome in outcomes)
    passed = not checked or (checked - unexpected) / checked >= expectation.mostly
    examples = [example for outcome in outcomes for example in outcome.examples][:limit]
    return Finding(expectation, part, _status(passed), None, checked, unexpected, examples, "")


def of_fact(expectation: Expectation, outcome: Outcome, value: float, examples: list[Example]) -> Finding:
    """The finding on one fact; a fact in order needs no examples."""
    return Finding(
        expectation, "facts", _status(outcome.passed), value, None, None, [] if outcome.passed else examples, ""
    )


def not_evaluated(expectation: Expectation, part: str, status: str, note: str) -> Finding:
    """A finding without an outcome."""
    return Finding(expectation, part, status, None, None, None, [], note)


def compose(suite: Suite, shards: int, facts: dict[str, float], findings: Sequence[Finding]) -> dict[str, Any]:
    """The report as plain values, without times, so that the same data gives the same bytes."""
    tally = {status: sum(f.status == status for f in findings) for status in ("passed", "failed", "skipped")}
    return {
        "dataset": suite.dataset,
        "stage": suite.stage,
        "parent": suite.parent,
        "success": tally["failed"] == 0,
        **tally,
        "shards": shards,
        "facts": facts,
        "expectations": [_entry(finding) for finding in findings],
    }


def to_html(report: dict[str, Any]) -> str:
    """A page that needs nothing from the network; every value is escaped."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    order = {"failed": 0, "skipped": 1, "passed": 2}
    entries = sorted(report["expectations"], key=lambda entry: order[entry["status"]])
    return environment.get_template("report.html.j2").render(report=report, entries=entries)


def explain(report: dict[str, Any], page: Path) -> str:
    """What a failed gate tells the terminal: each broken expectation with counts and ids, then where to read on."""
    failed = [entry for entry in report["expectations"] if entry["status"] == "failed"]
    notes = [entry["note"] for entry in failed if entry["note"]]
    lines = [f"{report['dataset']}: {len(failed)} of {len(report['expectations'])} expectations failed"]
    lines += [_line(entry) for entry in failed if not entry["note"]]
    lines += [f"  {notes.count(note)} {note}" for note in dict.fromkeys(notes)]
    return "\n".join([*lines, f"  read {page}; docs/gates.md tells how to go on"])


def _status(passed: bool) -> str:
    return "passed" if passed else "failed"


def _entry(finding: Finding) -> dict[str, Any]:
    expectation = finding.expectation
    share = finding.unexpected / finding.checked if finding.checked and finding.unexpected is not None else None
    return {
        "name": expectation.name,
        "part": finding.part,
        "type": expectation.type,
        "column": expectation.column,
        "asked": {key: value for key, value in expectation.kwargs.items() if key != "column"},
        "status": finding.status,
        "observed": finding.observed,
        "checked": finding.checked,
        "unexpected": finding.unexpected,
        "unexpected_percent": None if share is None else round(100 * share, 4),
        "examples": [{"id": example.id, "excerpt": example.excerpt} for example in finding.examples],
        "note": finding.note,
        "why": expectation.notes,
    }


def _line(entry: dict[str, Any]) -> str:
    """One failed expectation, for the terminal."""
    if entry["unexpected"] is None:
        asked = ", ".join(f"{key} {value}" for key, value in entry["asked"].items())
        seen = f"observed {_short(entry['observed'])}, asked {_short(asked)}"
    else:
        seen = f"{entry['unexpected']} of {entry['checked']} values ({entry['unexpected_percent']}%)"
    ids = ", ".join(example["id"] for example in entry["examples"][:_IDS])
    where = f" on {entry['column']}" if entry["column"] else ""
    return f"  {entry['name']} ({entry['type']}{where}): {seen}" + (f"; ids {ids}" if ids else "")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _WIDTH else text[:_WIDTH] + "…"
