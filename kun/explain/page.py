"""The life of a record for the terminal."""

from collections.abc import Iterator, Sequence
from typing import Any

from kun.explain.life import Step
from kun.explain.values import RuleValue
from kun.terminal import printable, text_table

SHORT = 160
"""Characters of a text that are shown unless all of it is wanted."""
SCORES = {
    "perplexity": ("ppl", "n_scored"),
    "judge": ("p_good", "margin", "verdict", "reply"),
    "label": ("finish", "n_new"),
    "polish": ("finish", "n_new", "copy_rate", "support", "length_ratio", "shortened"),
    "ingest": ("origin", "source", "title", "n_chars"),
    "clean": ("lang", "n_chars", "n_tokens"),
    "pairs": ("licence", "method"),
    "losses": ("n_answer", "s_cond", "s_direct", "reason"),
    "select": ("rank", "ifd_ppl", "rifd_ppl", "ira", "edited_by"),
}
"""Columns that tell something new at a stage."""
WRITTEN = {
    "ingest": "text",
    "clean": "text",
    "label": "instruction",
    "instructions": "instruction",
    "polish": "answer",
    "pairs": "output",
}


def page(record: str, steps: Sequence[Step], full: bool) -> str:
    """One paragraph a stage; texts, prompts and passed rules whole when `full`."""
    return "\n\n".join([f"record {record}", *("\n".join(_lines(step, full)) for step in steps)])


def _lines(step: Step, full: bool) -> Iterator[str]:
    yield f"{step.stage}: {step.outcome}{_reason(step)}"
    told = {name: step.row.get(name) for name in SCORES.get(step.stage, ())}
    if facts := [f"{name} {_shown(value)}" for name, value in told.items() if value not in (None, "")]:
        yield "  " + ", ".join(facts)
    if step.prompt:
        yield _quoted("asked", step.prompt, full)
    if step.outcome != "kept":
        yield _quoted("excerpt", step.row["excerpt"], full)
    elif step.stage in WRITTEN:
        yield _quoted(WRITTEN[step.stage], step.row[WRITTEN[step.stage]], full)
    yield from _rules([value for value in step.rules if full or not value.passed])


def _rules(values: Sequence[RuleValue]) -> list[str]:
    """A table; empty when there is nothing to tell."""
    rows = [
        [value.rule, "passed" if value.passed else "broken", printable(value.value)[:SHORT], value.threshold]
        for value in values
    ]
    return [f"  {line}" for line in text_table(("rule", "", "value", "asked"), rows).splitlines()] if rows else []


def _reason(step: Step) -> str:
    if not step.verdict:
        return ""
    value, threshold = printable(step.verdict["value"]), step.verdict["threshold"]
    return (
        f", {step.verdict['reason']}"
        + (f": {value}" if value else "")
        + (f" (asked: {threshold})" if threshold else "")
    )


def _quoted(name: str, text: str, full: bool) -> str:
    """On one line unless whole."""
    if full:
        return f"  {name}:\n" + "\n".join(f"    {printable(line)}" for line in text.splitlines())
    line = printable(text)
    return f"  {name}: {line[:SHORT]}{'…' if len(line) > SHORT else ''}"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))
