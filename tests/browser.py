"""A real browser for tests of pages: Debian's chromium through playwright, without network and with eyes on the console.

The fixture `browser` is in conftest.py. A test opens its page with `opened(browser, address)`: when the block ends, an
error on the console, an uncaught error or a request that leaves this machine fails the test.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

CHROMIUM = os.environ.get("KUN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
FLAGS += ("--disable-component-update", "--disable-sync")
PHONE, DESKTOP = 390, 1280
HEIGHTS = {PHONE: 844, DESKTOP: 900}
HERE = re.compile(r"(file|data|blob|about):|(https?|wss?)://127\.0\.0\.1(:\d+)?(/|$)")
"""Addresses that do not leave this machine."""

# Geometry and colours as the browser has them, so in its language.
TOO_WIDE = """() => {
  const hidden = (node) => { for (let up = node.parentElement; up; up = up.parentElement)
    if (up !== document.body && getComputedStyle(up).overflowX !== 'visible') return true; return false };
  const wide = [...document.querySelectorAll('body *')].filter(
    (node) => node.getBoundingClientRect().right > innerWidth + 1 && !hidden(node));
  const page = document.documentElement.scrollWidth;
  return (page > innerWidth ? [`page: ${page}`] : []).concat(wide.map((node) => node.outerHTML.slice(0, 80)));
}"""
CONTRAST = """(selector) => {
  const channels = (colour) => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number); return [r, g, b, a] };
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (node) => { for (let up = node; up; up = up.parentElement) {
    const found = channels(getComputedStyle(up).backgroundColor); if (found[3] === 1) return found } return [255, 255, 255] };
  return [...document.querySelectorAll(selector)].filter((node) => node.checkVisibility()).map((node) => {
    const style = getComputedStyle(node), ink = node.namespaceURI.endsWith('svg') ? style.fill : style.color;
    const [dark, bright] = [light(channels(ink)), light(behind(node))].sort((a, b) => a - b);
    return [(bright + 0.05) / (dark + 0.05), node.outerHTML.slice(0, 80)] });
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One for the tests of a file: 1.3 s. Not for the session: while it lives, nothing else here can run asyncio."""
    if CHROMIUM is None:
        told = "no chromium: `make browser` installs it, KUN_CHROMIUM names one elsewhere"
        if os.environ.get("KUN_BROWSER") == "1":
            pytest.fail(told)
        pytest.skip(told)
    with launched() as started:
        yield started


@contextmanager
def launched() -> Iterator["Browser"]:
    """Chromium, which must be there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@contextmanager
def opened(
    browser: "Browser", address: str | Path, width: int = DESKTOP, dark: bool = False, scripts: bool = True
) -> Iterator["Page"]:
    """A page of its own at a file or an http address; `width` in pixels, `scripts` off as some readers have it."""
    url = address.resolve().as_uri() if isinstance(address, Path) else address
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHTS.get(width, 900)},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        java_script_enabled=scripts,
        locale="zh-CN",
    )
    faults: list[str] = []

    def pass_or_stop(route: "Route") -> None:
        if HERE.match(route.request.url):
            route.continue_()
        else:
            faults.append(f"request to {route.request.url}")
            route.abort()

    context.route("**/*", pass_or_stop)
    try:
        page = context.new_page()
        page.on("console", lambda said: faults.append(f"console: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(f"uncaught: {error}"))
        page.on(
            "websocket", lambda socket: None if HERE.match(socket.url) else faults.append(f"socket to {socket.url}")
        )
        page.goto(url, wait_until="load")
        yield page
        assert not faults, f"{url}: {faults}"
    finally:
        context.close()


def too_wide(page: "Page") -> list[str]:
    """What makes the page scroll sideways; what scrolls in a box of its own does not."""
    return list(page.evaluate(TOO_WIDE))


def faint(page: "Page", selector: str, least: float = 4.5) -> list[str]:
    """Of the shown elements that `selector` finds (at least one), those whose text has less contrast than `least` (WCAG AA)."""
    found = page.evaluate(CONTRAST, selector)
    assert found, f"nothing shown is {selector}"
    return [f"{ratio:.1f}: {node}" for ratio, node in found if ratio < least]


def shot(page: "Page", path: Path, whole: bool = True) -> Path:
    """A PNG of the whole page, or of what fits into the window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=whole)
    return path
