"""The documentation as a site: it builds strictly, holds every verb and key, asks for nothing outside, finds Chinese."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
import pytest

from kun.cli import main
from kun.config import load_params
from tests.browser import PHONE, opened, too_wide
from tests.conftest import made_once
from tests.copies import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FETCHING = {"src", "srcset", "poster", "data", "background", "action", "formaction", "manifest"}
"""Attributes whose address a browser asks for by itself (but for action), on any tag; href only on `link` and `base`."""
OUTSIDE = re.compile(r"\s*([a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


def built(source: Path, out: Path) -> "subprocess.CompletedProcess[str]":
    """As `make docs` does it."""
    words = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "--no-color",
        "-E",
        "-c",
        "docs/site",
        source,
        out,
    ]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of the whole site."""

    def make(folder: Path) -> None:
        done = built(ROOT, folder / "html")
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, worker_id, "site", make) / "html"


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def ids(page: Path) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', read(page)))


def verbs(group: click.Group, before: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{before} {name}", command
        if isinstance(command, click.Group):
            yield from verbs(command, f"{before} {name}")


def keys(section: Any, before: str = "") -> Iterator[str]:
    """Dotted keys of params.yaml; what stands in a mapping has names of the user's."""
    for field in fields(section):
        value, path = getattr(section, field.name), f"{before}{field.name}"
        if is_dataclass(value):
            yield from keys(value, f"{path}.")
        else:
            yield path


def test_every_page_is_in_the_site_and_in_its_navigation(site: Path) -> None:
    pages = [Path("CONTRIBUTING.md"), Path("README.zh-CN.md"), *(p.relative_to(ROOT) for p in ROOT.glob("docs/*.md"))]
    front = read(site / "README.html")
    for page in pages:
        assert (site / page.with_suffix(".html")).is_file()
        assert f'href="{page.with_suffix(".html").as_posix()}"' in front


def test_every_verb_has_its_place_with_its_options(site: Path) -> None:
    text, anchors = read(site / "docs/cli.html"), ids(site / "docs/cli.html")
    for words, command in verbs(main, "kun"):
        assert words.replace(" ", "-").replace("_", "-") in anchors, words
        section = text.split(f"<h2>{words}<")[1].split("<h2>")[0]
        shown = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
        options = [name for option in shown for name in option.opts]
        assert [name for name in options if name not in section] == [], words


def test_every_key_of_the_parameters_has_its_place_and_value(site: Path) -> None:
    text, anchors = read(site / "docs/params.html"), ids(site / "docs/params.html")
    known = list(keys(load_params(ROOT / "params.yaml")))
    assert len(known) > 200
    assert [key for key in known if re.sub("[._]", "-", key) not in anchors] == []
    entry = re.search(r'<dt><span id="dedup-bins">.*?</dd>\s*(?:<dd>.*?</dd>)?', text, re.DOTALL)
    assert entry is not None
    plain = " ".join(re.sub(r"<[^>]+>", "", entry.group()).split())
    assert plain == "dedup.bins = 128whole number, 16 to 1024. Length of a signature. # of a signature"


class Requests(HTMLParser):
    """Addresses outside that a page would ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = FETCHING | ({"href"} if tag in ("link", "base") else set())
        self.found += [f"{tag}: {value}" for name, value in attrs if name in names and OUTSIDE.match(value or "")]


def requests(page: str) -> list[str]:
    parser = Requests()
    parser.feed(page)
    return parser.found


def test_no_page_or_style_asks_for_anything_outside(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    assert {str(page): found for page in pages if (found := requests(read(page)))} == {}
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:@import\s+|url\()\s*[\"']?(?:\w+:)?//", read(style)) == [], style


def test_such_a_request_would_be_seen() -> None:
    page = '<a href="https://a.example"><link href="//b.example/x.css"><img srcset="https://c.example/p.png 2x">'
    assert requests(page) == ["link: //b.example/x.css", "img: https://c.example/p.png 2x"]


def test_a_link_or_anchor_that_leads_nowhere_stops_the_build(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "README.md").write_text("# kun\n\n[a](no.md) [b](#none) [c](CHANGELOG.md#none) [d](#kun)\n")
    (source / "CHANGELOG.md").write_text("# Changes\n")
    done = built(source, tmp_path / "html")
    assert done.returncode != 0
    assert [line.split("WARNING: ")[1] for line in done.stderr.splitlines() if "WARNING" in line] == [
        "'myst' cross-reference target not found: 'no.md' [myst.xref_missing]",
        "'myst' cross-reference target not found: 'none' [myst.xref_missing]",
        "local id not found in doc 'CHANGELOG': 'none' [myst.xref_missing]",
    ]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server on loopback, as `make docs-serve` starts one."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("query", "page"),
    [("评判阈值", "docs/tutorial.zh-CN.html"), ("判阈", "docs/tutorial.zh-CN.html"), ("thresholds", "docs/gates.html")],
)
def test_search_finds_pieces_of_chinese_and_words_in_any_form(
    browser: "Browser", site: Path, query: str, page: str
) -> None:
    with served(site) as address, opened(browser, f"{address}/search.html?q={quote(query)}") as tab:
        tab.wait_for_selector("#search-results ul.search li a")
        tab.wait_for_function("document.querySelector('#search-results .search-summary').innerText.includes('found')")
        found = tab.eval_on_selector_all("#search-results li a", "all => all.map((one) => one.pathname)")
        assert f"/{page}" in found


@pytest.mark.parametrize("page", ["index.html", "README.zh-CN.html", "docs/params.html", "docs/cli.html"])
def test_a_page_fits_a_phone(browser: "Browser", site: Path, page: str) -> None:
    with opened(browser, site / page, PHONE) as tab:
        assert tab.inner_text("h1")
        assert too_wide(tab) == []
