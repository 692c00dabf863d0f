"""The page in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kun.config import load_params
from kun.report.report import report
from tests.browser import DESKTOP, PHONE, faint, opened, too_wide
from tests.report.made_run import EVIL, made_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
WORDS = "p, th, td, a, li, figcaption, summary, dt, dd, code, b, h1, h2, h3, label, button, select, .plot text"
DROPPED = "[data-records=dropped-rows]"
RELEASED = "[data-records=released-rows]"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the pages."""
    project = made_run(tmp_path_factory.mktemp("run"))
    report(project, load_params(ROOT / "params.yaml"))
    return project.root / "reports"


@pytest.fixture
def page(browser: "Browser", reports: Path) -> Iterator["Page"]:
    with opened(browser, reports / "index.html") as shown:
        yield shown


@pytest.mark.parametrize("name", ["index.html", "index.zh-CN.html"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_can_be_read(browser: "Browser", reports: Path, name: str, width: int, dark: bool) -> None:
    with opened(browser, reports / name, width, dark) as shown:
        assert too_wide(shown) == []
        shown.locator(f"{RELEASED} .open").first.click()
        shown.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert too_wide(shown) == []
        assert faint(shown, WORDS) == []


def test_every_part_is_there(page: "Page") -> None:
    sections = page.locator("section").evaluate_all("(all) => all.map((one) => one.id)")
    assert sections == [
        "funnel", "pairs", "sources", "reasons", "duplicates", "distributions", "scores", "judge", "votes",
        "models", "gates", "work",
    ]  # fmt: skip
    assert page.locator("svg.plot").count() == 19
    assert page.locator("nav a").count() == len(sections)


def test_search_finds_rows_and_says_how_many(page: "Page") -> None:
    search = page.locator(f"{RELEASED} input")
    status, rows = page.locator(f"{RELEASED} [role=status]"), page.locator(f"{RELEASED} tbody tr")
    assert (status.inner_text(), rows.count()) == ("10 of 45", 10)
    wanted = rows.nth(3).locator(".two").first.inner_text()
    search.fill(wanted[4:12].translate({ord("，"): ","}))  # width does not matter
    assert (status.inner_text(), rows.count()) == ("1 of 1", 1)
    assert rows.locator(".two").first.inner_text() == wanted
    search.fill("no such text")
    assert (status.inner_text(), rows.count()) == ("Nothing found.", 0)


def test_what_was_searched_for_is_marked(page: "Page") -> None:
    page.locator(f"{RELEASED} input").fill("请说明")
    assert page.locator(f"{RELEASED} mark").first.inner_text() == "请说明"


def test_filters_and_order(page: "Page") -> None:
    source, order = page.locator(f"{RELEASED} select").nth(0), page.locator(f"{RELEASED} select").nth(1)
    source.select_option("=forum")
    assert set(page.locator(f"{RELEASED} td.word").all_inner_texts()) == {"forum"}
    order.select_option("-p_good")
    shown = [float(text) for text in page.locator(f"{RELEASED} td[data-label=p_good]").all_inner_texts()]
    assert shown == sorted(shown, reverse=True) and len(shown) > 5
    page.locator(f"{DROPPED} select").nth(1).select_option("=spam")
    assert set(page.locator(f"{DROPPED} td.code").all_inner_texts()) == {"spam"}


def test_more_rows_on_request(page: "Page") -> None:
    more, rows = page.locator(f"{RELEASED} .more"), page.locator(f"{RELEASED} tbody tr")
    for shown in (20, 30, 40, 45):
        more.click()
        assert rows.count() == shown
    assert not more.is_visible()


def test_markup_in_a_record_shows_as_text(page: "Page") -> None:
    page.locator(f"{RELEASED} input").fill("alert(1)")
    page.locator(f"{RELEASED} .open").click()
    assert page.locator(f"{RELEASED} .whole dd").get_by_text(EVIL, exact=True).count() == 2  # input and answer
    page.locator(f"{DROPPED} input").fill("alert(1)")
    assert page.locator(f"{DROPPED} .two").first.inner_text() == EVIL
    assert page.locator("script").count() == 3


def test_a_row_opens_by_keyboard(page: "Page") -> None:
    page.locator(f"{RELEASED} input").focus()
    for _ in range(3):  # two lists, then the first row
        page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    assert focused.get_attribute("aria-expanded") == "true"
    assert page.locator(f"{RELEASED} .whole").is_visible()
    page.keyboard.press("Space")
    assert page.locator(f"{RELEASED} .whole").count() == 0


def test_pictures_tell_their_numbers(page: "Page") -> None:
    funnel = page.locator("#funnel svg.plot")
    assert funnel.get_attribute("aria-label") == "Rows that stay, by source"
    assert "ingest, encyclopedia: 15" in funnel.locator("title").all_text_contents()


def test_links_lead_somewhere(page: "Page", reports: Path) -> None:
    addresses = page.locator("a").evaluate_all("(all) => all.map((one) => one.getAttribute('href'))")
    assert {"checks/cleaned.html", "index.zh-CN.html"} < set(addresses)
    for address in addresses:
        found = page.locator(address).count() == 1 if address.startswith("#") else (reports / address).is_file()
        assert found, address


def test_it_reads_without_scripts_and_prints_in_ink(browser: "Browser", reports: Path) -> None:
    with opened(browser, reports / "index.html", dark=True, scripts=False) as shown:
        assert "needs JavaScript" in shown.locator(RELEASED).inner_text()
        assert shown.locator("#funnel svg.plot").is_visible()
    with opened(browser, reports / "index.html", dark=True) as shown:
        shown.emulate_media(media="print", color_scheme="dark")
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not shown.locator("nav").is_visible()
        assert faint(shown, "p, th, td, figcaption, .plot text") == []
