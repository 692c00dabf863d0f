"""The page in a real browser: by keyboard alone, by touch, with records that try to do harm; pictures for the guide.

KUN_PICTURES=1 takes the pictures of docs/images from the finished demo project in this folder.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import DESKTOP, PHONE, faint, opened, shot, too_wide
from tests.copies import ROOT
from tests.review.conftest import MARKUP, Page, answer, key, reviewing, votes_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab

TEXTS = "#record p, #record h2, #record dt, #record dd, #place, #told, .actions button, summary"


@pytest.fixture(scope="module")
def root(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(records, tmp_path_factory.mktemp("seen") / "project")


@pytest.fixture(scope="module")
def page(root: Path) -> Iterator[Page]:
    with reviewing(root, *(key(number) for number in (0, 1, 2, 3, 7, 11))) as found:
        yield found


@pytest.fixture
def tab(browser: "Browser", page: Page) -> Iterator["Tab"]:
    with opened(browser, page.url) as found:
        shown(found, 1)
        yield found


def shown(tab: "Tab", place: int) -> None:
    """Wait until the record at a place (from 1) is there."""
    tab.locator("#place", has_text=re.compile(rf"^{place} / 6")).wait_for()
    tab.locator("#record:not([hidden])").wait_for()


def said(root: Path) -> list[tuple[str, str]]:
    return [(line["id"], line["verdict"]) for line in votes_of(root)]


@pytest.fixture(autouse=True)
def _no_votes(root: Path, page: Page) -> Iterator[None]:
    """Votes of a test end with it, in the server's memory too."""
    yield
    while page.change("/api/undo", {})[1]["undone"] is not None:
        pass
    (root / "data/votes/reviewer.jsonl").unlink(missing_ok=True)


pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def test_a_person_reads_and_votes_without_a_mouse(tab: "Tab", root: Path) -> None:
    keyboard = tab.keyboard
    keyboard.press("1")
    shown(tab, 2)
    keyboard.press("2")
    shown(tab, 3)
    keyboard.press("ArrowLeft")
    shown(tab, 2)
    assert tab.get_attribute("#drop", "aria-pressed") == "true"
    keyboard.press("j")
    shown(tab, 3)
    keyboard.press("n")
    keyboard.type("1 条备注 e")
    keyboard.press("Enter")
    keyboard.press("1")
    shown(tab, 4)
    assert said(root) == [(key(0), "keep"), (key(1), "drop"), (key(2), "keep")]
    assert votes_of(root)[2]["note"] == "1 条备注 e", "keys in the note are text"
    keyboard.press("u")
    shown(tab, 3)
    assert said(root)[-1] == (key(2), "undo")
    assert tab.text_content("#counted") == "已保留 1 · 已丢弃 1"


def test_an_edit_is_made_in_place_and_saved_by_ctrl_enter(tab: "Tab", root: Path) -> None:
    tab.keyboard.press("e")
    assert tab.evaluate("document.activeElement.id") == "edit-output"
    tab.keyboard.press("Control+Home")
    tab.keyboard.type("2 句：")
    tab.keyboard.press("Control+Enter")
    shown(tab, 2)
    assert [vote["edit"] for vote in votes_of(root)] == [{"output": f"2 句：{answer(0)}"}]
    tab.keyboard.press("k")
    shown(tab, 1)
    assert tab.text_content("#answer") == f"2 句：{answer(0)}"
    tab.keyboard.press("e")
    tab.fill("#edit-instruction", "不会保存")
    tab.keyboard.press("Escape")
    assert tab.text_content("#instruction") == "怎样保存第0种茶叶？"
    assert len(votes_of(root)) == 1


def test_an_edit_that_changes_nothing_or_empties_a_text_is_told_and_stays_open(tab: "Tab", root: Path) -> None:
    tab.keyboard.press("e")
    tab.keyboard.press("Control+Enter")
    tab.locator("#told-now.bad", has_text="没有任何改动").wait_for()
    tab.fill("#edit-output", " ")
    tab.keyboard.press("Control+Enter")
    tab.locator("#told-now.bad", has_text="文本不能为空").wait_for()
    assert tab.is_visible("#edit-output")
    assert said(root) == []


def test_the_last_vote_ends_in_a_summary_and_votes_lead_back(tab: "Tab") -> None:
    for place in range(6):
        shown(tab, place + 1)
        tab.keyboard.press("2" if place else "1")
    tab.locator("#finished:not([hidden])").wait_for()
    assert tab.text_content("#total") == "已保留 1 · 已丢弃 5"
    tab.click("summary")
    tab.click("#votes li:nth-child(2) button")
    shown(tab, 2)
    tab.select_option("#show", "keep")
    shown(tab, 1)
    tab.keyboard.press("j")
    tab.locator("#finished:not([hidden])").wait_for()
    tab.select_option("#show", "edit")
    tab.locator("#none:not([hidden])").wait_for()


def test_a_record_that_left_tells_where_and_one_without_answer_shows_its_text_alone(tab: "Tab") -> None:
    for place in range(2, 6):
        tab.keyboard.press("j")
        shown(tab, place)
    assert tab.text_content("#fate") == "淘汰于 pairs, judge_threshold: 0.3 (要求 >= 0.4)"
    tab.keyboard.press("j")
    shown(tab, 6)
    assert tab.text_content("#answer") == "还没有回答。"
    assert tab.is_disabled("#edit")
    tab.keyboard.press("e")
    assert tab.is_visible("#keep")


def test_markup_in_a_record_stays_text(tab: "Tab", root: Path) -> None:
    for place in range(2, 5):
        tab.keyboard.press("j")
        shown(tab, place)
    assert tab.text_content("#instruction") == f"{MARKUP}怎样保存？"
    assert MARKUP in (tab.text_content("#raw") or "")
    tab.keyboard.press("e")
    tab.fill("#edit-output", MARKUP)
    tab.keyboard.press("Control+Enter")
    shown(tab, 5)
    tab.keyboard.press("k")
    shown(tab, 4)
    assert tab.text_content("#answer") == MARKUP
    assert tab.locator("#record img, #record script, #votes img").count() == 0
    assert tab.evaluate("window.hurt") is None


def test_help_opens_and_closes_and_differences_go_off(tab: "Tab") -> None:
    assert (
        tab.evaluate("getComputedStyle(document.querySelector('#answer mark')).backgroundColor") != "rgba(0, 0, 0, 0)"
    )
    tab.keyboard.press("d")
    assert (
        tab.evaluate("getComputedStyle(document.querySelector('#answer mark')).backgroundColor") == "rgba(0, 0, 0, 0)"
    )
    tab.keyboard.press("?")
    assert tab.is_visible("#help")
    tab.keyboard.press("2")
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#help")
    assert tab.text_content("#counted") == "还没有。", "keys under the dialog do nothing"


def test_a_server_that_is_gone_is_told_and_nothing_moves_on(browser: "Browser", project_root: Path) -> None:
    refused = pytest.raises(
        AssertionError, match="ERR_CONNECTION_REFUSED"
    )  # what the browser says of it on its console
    with reviewing(project_root) as own, refused, opened(browser, own.url) as tab:
        shown(tab, 1)
        own.process.kill()
        own.process.wait()
        tab.keyboard.press("1")
        tab.locator("#told-now.bad", has_text="服务器没有应答").wait_for()
        shown(tab, 1)


@pytest.fixture
def project_root(records: Path, tmp_path: Path) -> Path:
    return shutil.copytree(records, tmp_path / "project")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_nothing_is_cut_off_or_hard_to_read(browser: "Browser", page: Page, width: int, dark: bool) -> None:
    with opened(browser, f"{page.url}#4", width, dark) as tab:
        shown(tab, 4)
        assert too_wide(tab) == []
        assert faint(tab, TEXTS) == []
        assert faint(tab, "mark") == []
        tab.click("#keep")
        shown(tab, 5)
        tab.click("#edit")
        assert too_wide(tab) == []
        assert faint(tab, "textarea, .actions button") == []
        tab.click("#cancel")


def test_it_speaks_english_to_others(browser: "Browser", page: Page) -> None:
    with opened(browser, f"{page.url}?lang=en") as tab:
        tab.locator("#place", has_text="1 of 6").wait_for()
        assert tab.text_content("h1") == "Review"
        assert tab.get_attribute("html", "lang") == "en"
        assert tab.get_attribute("#answer", "lang") == "zh", "so that characters take their Chinese form"


@pytest.mark.skipif(
    os.environ.get("KUN_PICTURES") != "1", reason="pictures are taken on request, from the demo project"
)
def test_pictures_for_the_guide(browser: "Browser", tmp_path: Path) -> None:
    for name in ("params.yaml", "data", "reports"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    with reviewing(tmp_path, "--by", "copy_rate", "--between", "0.2", "0.97", "--as", "demo") as page:
        total = len(page.get("/api/session")["records"])
        for width, dark in ((DESKTOP, False), (DESKTOP, True), (PHONE, False), (PHONE, True)):
            name = f"review-{'phone' if width == PHONE else 'desktop'}-{'dark' if dark else 'light'}.png"
            with opened(
                browser, f"{page.url}?lang={'en' if width == DESKTOP and not dark else 'zh'}#1", width, dark
            ) as tab:
                for place in range(1, 8):
                    tab.locator("#place", has_text=re.compile(rf"^{place} ")).wait_for()
                    tab.keyboard.press("2" if place == 3 else "1" if place < 7 else "k")
                tab.wait_for_timeout(2500)
                shot(tab, ROOT / "docs/images" / name, whole=False)
        assert total > 10
