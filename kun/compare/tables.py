"""Tables of a comparison, for the terminal or for Markdown: the same cells, in another dress."""

import re
from collections.abc import Callable, Sequence

from kun.terminal import printable, text_table

SHORT, SHORTER = 120, 40
"""Characters of a text in a cell of a page, and of a terminal's table, where a row has one line."""

Rows = Sequence[Sequence[str]]
Dress = Callable[[str, Sequence[str], Rows], str]
"""Title, header, rows -> text."""


def plain(title: str, header: Sequence[str], rows: Rows) -> str:
    """For the terminal."""
    return f"{title}\n{text_table(header, [[short(one, SHORTER) for one in row] for row in rows])}" if rows else ""


def markdown(title: str, header: Sequence[str], rows: Rows) -> str:
    """For a pull request; no cell can end its table, be a link, mention somebody or hold HTML."""
    if not rows:
        return ""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(escaped(short(one)) for one in row)} |" for row in rows]
    return f"**{title}**\n\n" + "\n".join(lines)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: each mark that could mean something stands as its number.

    Forges look for names, numbers and addresses once more in what was rendered: an empty comment parts those.
    """
    numbered = re.sub(r"[&<>|`\\\[\]*_~@#!:$]", lambda mark: f"&#{ord(mark[0])};", text)
    parted = re.sub(r"(&#(?:35|64);)", r"\1<!-- -->", numbered)
    return re.sub(r"(?i)(www)\.", r"\1<!-- -->.", parted)


def short(text: str, limit: int = SHORT) -> str:
    """On one line, without control characters."""
    line = printable(text)
    return line[:limit] + ("…" if len(line) > limit else "")
