"""The answer of `kun what-if` for the terminal."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from kun.forecast import duration
from kun.release.files import count
from kun.terminal import printable, text_table
from kun.whatif.answer import Answer
from kun.whatif.settings import assignment
from kun.whatif.work import Waiting

SHORT = 60
"""Characters of an instruction or answer."""
REASONS = 8


def page(answer: Answer) -> str:
    """Paragraphs: what was asked, the stages, the mix, lengths, examples, model work."""
    return "\n\n".join("\n".join(part) for part in _parts(answer) if part)


def _parts(answer: Answer) -> Iterator[list[str]]:
    yield [f"{one.key}: {_value(one.old)} -> {_value(one.new)}" for one in answer.settings] or ["nothing differs"]
    yield _head(answer)
    if answer.steps:
        rows = [
            [step.stage, *_change(step.before, step.after), count(step.waiting) if step.waiting else ""]
            for step in answer.steps
        ]
        yield text_table(("stage", "now", "then", "", "wait for models"), rows).splitlines()
    for column, title, shift in (
        ("source", "source", answer.sources),
        ("chars", "characters of answer", answer.lengths),
    ):
        table = [[printable(row[column]), *_change(row["before"], row["after"])] for row in shift]
        yield text_table((title, "now", "then", ""), table).splitlines()
    if answer.reasons:
        told = [f"{one['stage']} {one['reason']} {count(one['rows'])}" for one in answer.reasons[:REASONS]]
        yield [f"lost by: {', '.join(told)}"]
    yield from (_examples(name, answer.examples[name]) for name in ("gained", "lost"))
    yield [_wait(one, answer) for one in answer.work]
    yield answer.notes


def _head(answer: Answer) -> list[str]:
    after = answer.after
    about = "" if answer.sample >= 1 else f" ({after.low:,.0f} to {after.high:,.0f})"
    lines = [
        f"released: {count(answer.before)} -> {after.value:,.0f}{about}, {count(answer.gained)} gained, {count(answer.lost)} lost"
    ]
    if answer.sample < 1:
        lines.append(
            f"an estimate from {answer.sample:.2%} of the rows, with a 95% interval; --exact looks at all of them"
        )
    return lines


def _change(before: int, after: int) -> tuple[str, str, str]:
    return count(before), count(after), f"{after - before:+,}" if after != before else ""


def _examples(name: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [f"{name}:"] if rows else []
    for row in rows:
        why = f"{row['stage']} {row['reason']} {printable(row['value'] or '')}".strip() if row.get("reason") else ""
        lines.append(f"  {row['id'][:12]}  {printable(row['source'])}  {why}")
        lines.append(f"    {_short(row['instruction'])}  |  {_short(row['output'])}")
    return lines


def _wait(one: Waiting, answer: Answer) -> str:
    took = (
        f"about {duration(one.seconds)} by the last run's speed"
        if one.seconds is not None
        else "its speed is not known"
    )
    settings = " ".join(f"-S {assignment(setting)}" for setting in answer.settings)
    return (
        f"{count(one.rows)} rows that {one.stage} would let in have seen no model yet ({', '.join(one.needs)}): "
        f"`dvc exp run {settings}` would compute them, {took}"
    )


def _short(text: str) -> str:
    line = printable(text)
    return line[:SHORT] + ("…" if len(line) > SHORT else "")


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
