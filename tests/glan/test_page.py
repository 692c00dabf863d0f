"""The coverage as pages, of a small taxonomy with markup in its names and of the whole one in a real browser."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from kun.glan.nodes import read_nodes
from kun.glan.page import PAGES, WORDS, coverage_page
from tests.browser import DESKTOP, PHONE, faint, opened, too_wide
from tests.copies import ROOT
from tests.glan.scripted import params

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROWS = pl.DataFrame(
    {
        "id": ["f", "d", "e"],
        "parent_id": ["", "f", "f"],
        "path": ["science", "science/optics", "science/heat"],
        "kind": ["field", "discipline", "discipline"],
        "zh": ["科学<script>alert(1)</script>", '光学" onload="x', "热学"],
        "en": ["Science", "Optics", "Heat"],
        "chosen": [False, True, False],
        "subjects": [2, 2, 0],
        "questions": [5, 5, 0],
        "pairs": [4, 4, 0],
        "thin": [False, True, False],
    }
)


def whole_taxonomy() -> pl.DataFrame:
    """The one of the project, two thirds of its disciplines chosen, some of them thin and some without any pair."""
    rng = random.Random(7)
    rows = {}
    for node in read_nodes(ROOT / "data/glan"):
        leaf, chosen = node.kind == "discipline", node.kind == "discipline" and rng.random() < 0.67
        pairs = rng.choice([0, 12, 40, 90, 160, 420]) if chosen else 0
        above = rows[node.parent]["path"] + "/" if node.parent else ""
        rows[node.key] = {"id": node.key, "parent_id": node.parent, "path": above + node.key, "kind": node.kind}
        rows[node.key] |= {"zh": node.zh, "en": node.en, "chosen": chosen, "subjects": 9 if chosen else 0}
        rows[node.key] |= {"questions": pairs, "pairs": pairs, "thin": chosen and pairs < 50}
        up = node.parent if leaf else ""
        while up:
            rows[up]["pairs"] += pairs
            up = rows[up]["parent_id"]
    return pl.DataFrame(list(rows.values()))


def test_names_are_text_and_nothing_is_fetched() -> None:
    page = coverage_page(ROWS, params(), "zh")
    assert "<script" not in page and "&lt;script&gt;" in page
    assert not re.search(r'<[^>]*onload="x', page) and "光学&#34; onload=&#34;x" in page
    assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg\b)|url\(|<img|@import", page)
    assert re.search(r"default-src &#39;none&#39;; style-src|default-src 'none'; style-src", page)


@pytest.mark.parametrize(("lang", "name", "idle"), [("zh", "光学", "热学"), ("en", "Optics", "Heat")])
def test_what_is_thin_and_what_was_not_chosen_is_shown_in_the_language_of_the_page(
    lang: str, name: str, idle: str
) -> None:
    page = coverage_page(ROWS, params(lang="zh"), lang)
    words = WORDS[lang]
    assert f'<html lang="{words["lang"]}">' in page and PAGES["zh" if lang == "en" else "en"] in page
    assert name in page and page.count(f'<b class="bad">{words["thin"]}</b>') == 1
    assert re.search(rf'class="idle quiet">.*{idle}', page)
    assert 'width="100.0%"' in page


def test_a_taxonomy_without_pairs_has_a_page() -> None:
    none = ROWS.with_columns(pl.lit(0).alias(name) for name in ("subjects", "questions", "pairs"))
    assert 'width="0.0%"' in coverage_page(none, params(), "en")
    unchosen = none.with_columns(chosen=pl.lit(False), thin=pl.lit(False))
    assert "<figure" not in coverage_page(unchosen, params(), "en"), "no tile has anything to say"


def test_both_languages_have_the_same_words() -> None:
    assert list(WORDS["en"]) == list(WORDS["zh"])
    for key, word in WORDS["en"].items():
        assert set(re.findall(r"\{\w+\}", word)) == set(re.findall(r"\{\w+\}", WORDS["zh"][key])), key


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("glan")
    table = whole_taxonomy()
    for lang, page in PAGES.items():
        (folder / page).write_text(coverage_page(table, params(), lang), encoding="utf-8")
    yield folder


@pytest.mark.parametrize("page", PAGES.values())
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_can_be_read(browser: "Browser", pages: Path, page: str, width: int, dark: bool) -> None:
    with opened(browser, pages / page, width, dark) as shown:
        assert too_wide(shown) == []
        assert shown.locator("svg.plot").evaluate_all("(all) => all.filter((one) => one.checkVisibility()).length") == 1
        shown.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert too_wide(shown) == []
        assert faint(shown, "p, a, li, h1, h2, b, .name, .figures, .tile span, .plot text") == []


def test_the_other_language_is_a_click_away_and_tiles_tell_their_numbers(browser: "Browser", pages: Path) -> None:
    with opened(browser, pages / "coverage.html") as shown:
        assert any(
            re.fullmatch(r"Optics: \d+ pairs", told) for told in shown.locator("svg.plot title").all_text_contents()
        )
        shown.locator(".top a").click()
        assert shown.locator("html").get_attribute("lang") == "zh-CN"
        assert shown.locator(".leaf .name").get_by_text("光学", exact=True).count() <= 1
