"""How folders and pages reach the disk."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2

from kun.tables.shards import disk_errors, place_beside

MISSING = "–"


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; at the end it takes the place of `folder`, unless an error ends the block."""
    building = place_beside(folder)
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        with disk_errors(folder):
            yield building
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(building, folder)  # noqa: PTH105
    finally:
        shutil.rmtree(building, ignore_errors=True)


def render(template: Path, **values: Any) -> str:
    """Fill a template, which may include others of its folder.

    In `*.html.j2` every value is escaped; an unknown name is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[[Any], str]] = {
        "count": count,
        "share": share,
        "number": number,
        "cell": cell,
        "tally": tally,
    }
    environment.filters |= filters
    return environment.get_template(template.name).render(values)


def count(value: int | None) -> str:
    """1234567 -> 1,234,567."""
    return MISSING if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """0.1234 -> 12.3%."""
    return MISSING if value is None else f"{value:.1%}"


def tally(times: Mapping[str, int]) -> str:
    """{"links": 1200, "spam": 3} -> links 1,200, spam 3."""
    return ", ".join(f"{name} {count(value)}" for name, value in times.items()) or MISSING


def number(value: Any) -> str:
    """Whole numbers with separators, others to four significant digits, anything else as text."""
    if value is None:
        return MISSING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def cell(value: object) -> str:
    """One cell of a Markdown table: no pipe, tag, code mark or line break of the value can end it."""
    text = " ".join(str(value).split())
    for mark, safe in {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "`": "&#96;"}.items():
        text = text.replace(mark, safe)
    return text
