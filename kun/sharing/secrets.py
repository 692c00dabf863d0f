"""Keys, passwords, addresses and paths that must not leave the house, found with their file and line.

A finding names its place and kind and never quotes what was found: it would stand in logs then.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from kun.corpus.private_forms import FORMS

EDGE = r"(?:^|[^A-Za-z0-9_]|\\[nrt])"
"""Where a key begins: also behind a line break as JSON writes it, whose letter would else belong to the key, and behind
a Chinese character, between which and a letter \\b sees no edge."""
END = r"(?:[^A-Za-z0-9]|$)"
SECRETS = {
    "a Hugging Face token": EDGE + r"hf_[A-Za-z0-9]{30,}",
    "an API key (sk-...)": EDGE + r"sk-(?:[A-Za-z0-9_]+-)*[A-Za-z0-9_]{20,}",
    "an AWS access key": EDGE + r"(?:AKIA|ASIA)[A-Z0-9]{16}" + END,
    "a GitHub token": EDGE + r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,})",
    "a Google API key": EDGE + r"AIza[A-Za-z0-9_-]{35}",
    "a Slack token": EDGE + r"xox[abprs]-[A-Za-z0-9-]{10,}",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a password in an address": EDGE + r"[a-z][a-z0-9+.-]*://[^\s/:@\"'<>]*:[^\s/:@\"'<>]{3,}@[\w.-]+",
}
HOME = r"(?:/home/|/Users/|[A-Z]:\\\\?Users\\\\?)[\w.-]+"
"""Of the machine that made the release; looked for where people write no texts: on the card and in the index."""
EMAIL = tuple(form for form in FORMS if form.kind == "邮箱")
SHOWN = 20


@dataclass(frozen=True)
class Finding:
    """What stands where; `line` counts from 1, in parquet it is the row."""

    file: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}"


def scan(folder: Path, emails: bool) -> list[Finding]:
    """The first SHOWN places in the files below `folder`, in their order; e-mail addresses only where `emails` asks."""
    found: list[Finding] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        own = {**SECRETS, "a path of a machine": HOME} if path.suffix in (".md", ".json") else SECRETS
        for line, kind in _places(_lines(path), own, emails):
            found.append(Finding(name, line, kind))
            if len(found) == SHOWN:
                return found
    return found


def _lines(path: Path) -> pl.LazyFrame:
    """One row per line of a text file or row of a parquet file, in the column `text`; read as it is asked for."""
    if path.suffix == ".parquet":
        return pl.scan_parquet(path).select(text=pl.struct(pl.all()).struct.json_encode())
    return pl.scan_lines(path, name="text")


def _places(lines: pl.LazyFrame, kinds: dict[str, str], emails: bool) -> Iterator[tuple[int, str]]:
    numbered = lines.with_row_index("line", offset=1)
    likely = [pl.col("text").str.contains(pattern) for pattern in kinds.values()]
    likely += [form.likely() for form in EMAIL] if emails else []
    suspects = numbered.filter(pl.any_horizontal(likely)).collect(engine="streaming").sort("line")
    for line, text in suspects.iter_rows():
        named = [kind for kind, pattern in kinds.items() if re.search(pattern, text)]
        if emails and any(True for form in EMAIL for _ in form.places(text)):
            named.append("an e-mail address")
        yield from ((line, kind) for kind in named)
