"""Texts without fields: passages, whole files, Markdown, HTML."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from kun.corpus.encoding import MARK_ERRORS
from kun.corpus.files import MAX_LINE, Line, encoding_of, lines, open_raw
from kun.corpus.items import Item, Reject, printable, unusable
from kun.errors import InputError

MAX_PAGE = 32 * 2**20
"""Bytes of the largest file that is read whole."""


def read_passages(path: Path, name: str) -> Iterator[Item]:
    """Passages are separated by blank lines; a passage with one bad line is rejected as a whole."""
    passage: list[Line] = []
    size = 0
    for line in lines(path):
        if line.too_long or line.text.strip():
            size += len(line.text)
            if size <= MAX_LINE or not passage:
                passage.append(line)
        elif passage:
            yield _passage(passage, size, name)
            passage, size = [], 0
    if passage:
        yield _passage(passage, size, name)


def _passage(passage: list[Line], size: int, name: str) -> Item:
    origin = f"{name}:{passage[0].number}"
    if size > MAX_LINE:
        return Reject(origin, "line_too_long", f"passage of {size}", printable(passage[0].text))
    for line in passage:
        if bad := unusable(line, origin):
            return bad
    return origin, {"text": "\n".join(line.text for line in passage)}


def read_text(path: Path, name: str) -> Iterator[Item]:
    """A file is one record."""
    page = _page(path, name)
    yield page if isinstance(page, Reject) else (f"{name}:1", {"text": page, "title": path.stem})


def read_markdown(path: Path, name: str) -> Iterator[Item]:
    """A file is one record, without its front matter; the first heading is its title."""
    page = _page(path, name)
    if isinstance(page, Reject):
        yield page
        return
    text = _FRONT_MATTER.sub("", page)
    heading = re.search(r"(?m)^# +(.+?) *#*$", text)
    yield f"{name}:1", {"text": text, "title": heading[1] if heading else ""}


_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def read_html(path: Path, name: str) -> Iterator[Item]:
    """A file is one record: its main text, without navigation and the like."""
    try:
        import trafilatura
    except ModuleNotFoundError:
        raise InputError(f"{path}: reading HTML needs trafilatura; run: pip install 'kun[html]'") from None
    page = _page(path, name)
    if isinstance(page, Reject):
        yield page
        return
    found = trafilatura.extract(page, output_format="json", with_metadata=True, include_comments=False)
    told = json.loads(found) if found else {}
    if told.get("text"):
        yield f"{name}:1", {"text": told["text"], "title": told["title"] or ""}
    else:
        yield Reject(f"{name}:1", "empty_text", "no main text", printable(page))


def _page(path: Path, name: str) -> str | Reject:
    """The whole text of a file."""
    with open_raw(path) as raw:
        content = raw.read(MAX_PAGE + 1)
    if len(content) > MAX_PAGE:
        return Reject(f"{name}:1", "line_too_long", f"over {MAX_PAGE} bytes", path.name)
    page = content.decode(encoding_of(path), MARK_ERRORS).replace("\r\n", "\n")
    if bad := unusable(Line(1, page), f"{name}:1"):
        return bad
    return page
