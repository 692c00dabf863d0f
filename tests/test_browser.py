"""The browser of the tests sees what it is there to see."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import PHONE, faint, opened, shot, too_wide

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def page_of(folder: Path, body: str) -> Path:
    path = folder / "page.html"
    path.write_text(f'<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">{body}', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<img src="https://example.org/a.png">', "request to https://example.org/a.png"),
        ("<script>fetch('http://127.0.0.2/')</script>", "request to http://127.0.0.2/"),
        ("<script>console.error('驿站')</script>", "console: 驿站"),
        ("<script>missing()</script>", "uncaught: missing is not defined"),
    ],
)
def test_a_page_with_a_fault_fails(browser: "Browser", tmp_path: Path, body: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault), opened(browser, page_of(tmp_path, body)) as page:
        page.wait_for_timeout(100)


def test_a_good_page_passes_and_is_seen(browser: "Browser", tmp_path: Path) -> None:
    with opened(browser, page_of(tmp_path, "<p>驿站</p>"), PHONE) as page:
        assert page.inner_text("p") == "驿站"
        assert too_wide(page) == []
        assert faint(page, "p") == []
        assert shot(page, tmp_path / "shots" / "page.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_too_wide_or_too_faint_is_found(browser: "Browser", tmp_path: Path) -> None:
    wide = (
        '<p style="width:600px;color:#999">a</p><div style="overflow-x:auto"><p id="in" style="width:600px">b</p></div>'
    )
    with opened(browser, page_of(tmp_path, wide), PHONE) as page:
        assert len(too_wide(page)) == 2  # the page, and the first paragraph alone
        assert [told.split(":")[0] for told in faint(page, "p")] == ["2.8"]
