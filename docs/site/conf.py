"""The documentation as a site: `make docs`. Pages stay where they are; Sphinx reads them from the root of the repository.

What has no file of its own is made while it builds: the navigation behind README.md and the list in docs/params.md.
"""

import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

from bigrams import Bigrams  # noqa: E402  beside this file
from params import listed  # noqa: E402

project = "kun"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
author = "The kun authors"
copyright = "The kun authors, Apache-2.0"

extensions = ["myst_parser"]
myst_heading_anchors = 4  # the anchors that GitHub gives, so that links work in both places
myst_enable_extensions = ["attrs_inline", "deflist"]  # the keys of params.yaml, an anchor at each
nitpicky = True  # with -W: a link or anchor that leads nowhere stops the build

root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "bench/**/README.md"]
exclude_patterns = [
    ".*",
    "data",
    "kun",
    "models",
    "node_modules",
    "pipelines",
    "reports",
    "site",
    "tests",
    "**/__pycache__",
]

html_theme = "furo"  # system fonts, light and dark, nothing from elsewhere
html_title = "kun"
html_copy_source = False
html_show_sphinx = False
html_search_language = Bigrams.lang
highlight_language = "none"  # a block without a language is output or a mix

NAVIGATION = {
    "Start": ["docs/tutorial"],
    "How-to": ["docs/how-to", "docs/review", "docs/experiments", "docs/sharing"],
    "Method": ["docs/method", "docs/rules", "docs/gates", "docs/release", "docs/samples", "docs/real-run"],
    "Reference": ["docs/cli", "docs/params"],
    "Project": ["docs/architecture", "docs/benchmarks", "docs/dependencies", "CONTRIBUTING", "CHANGELOG"],
    "中文": ["README.zh-CN"],
}
"""Group -> pages. Others of docs/ join the how-tos, those of bench/ the project, and Chinese ones their group."""


def navigation(pages: set[str]) -> dict[str, list[str]]:
    """Group -> those of `pages` in it, listed ones first, so that a new page is found without being listed."""
    groups = {group: [page for page in listed if page in pages] for group, listed in NAVIGATION.items()}
    placed = {root_doc, *(page for group in groups.values() for page in group)}
    for page in sorted(pages - placed):
        groups["中文" if page.endswith(".zh-CN") else "How-to" if page.startswith("docs/") else "Project"].append(page)
    return groups


def complete(app: Sphinx, page: str, source: list[str]) -> None:
    """Add to a page what is made while the site is built."""
    if page == root_doc:
        for group, pages in navigation(app.env.found_docs).items():
            source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {group}\n\n" + "\n".join(pages) + "\n```\n"
    elif page == "docs/params":
        source[0] += "\n" + listed(ROOT / "params.yaml")


def language_of(app: Sphinx, page: str, template: str, context: dict[str, object], doctree: object) -> None:
    """Chinese pages say so: browsers choose glyphs and screen readers voices by it."""
    if page.endswith(".zh-CN"):
        context["language"] = "zh-CN"


def front_door(app: Sphinx, failure: Exception | None) -> None:
    """index.html leads to the page made from README.md."""
    if failure is None:
        to = app.builder.get_target_uri(root_doc)
        page = (
            f'<!doctype html><meta charset="utf-8"><title>kun</title><meta http-equiv="refresh" content="0; url={to}">'
        )
        (Path(app.outdir) / "index.html").write_text(f'{page}<a href="{to}">kun</a>\n', encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.add_search_language(Bigrams)
    app.connect("source-read", complete)
    app.connect("html-page-context", language_of)
    app.connect("build-finished", front_door)
