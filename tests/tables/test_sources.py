"""What is said of a source in params.yaml that the data do not have; which stages say it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kun.corpus.corpus import corpus
from kun.corpus.dedup import dedup
from kun.corpus.ingest import ingest
from kun.project import Project
from kun.select.choose import select
from kun.tables.sources import AMONG, SHOWN, warn_unknown
from tests.corpus.test_corpus import scored
from tests.made import FAKE, PARAMS, changed, prose, store, texts
from tests.select.made import losses, not_asked, pairs

SOURCES = ["books/old", "books/new", "wiki"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("wiki", None),
        ("books", None),
        ("books/old", None),
        ("bokks", "did you mean 'books'?"),
        ("books/odl", "did you mean 'books/old'?"),
        ("news", "known: books, wiki, books/new, books/old"),
        ("new\nline", "known: books, wiki, books/new, books/old"),
    ],
)
def test_a_name_that_no_row_has_is_told_with_the_nearest(
    capsys: pytest.CaptureFixture[str], name: str, told: str | None
) -> None:
    warn_unknown("dedup.prefer", [name], SOURCES)
    said = capsys.readouterr().err
    assert said == (f"dedup.prefer: no source {name!r} in the data; {told}\n" if told else "")


def test_each_name_has_a_line_and_many_sources_are_no_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    warn_unknown("corpus.weights", ["news", "wiki/5"], [f"wiki/{number}" for number in range(3 * AMONG)])
    assert capsys.readouterr().err.count("\n") == 1
    warn_unknown("corpus.weights", ["a", "b"], [f"source {number}" for number in range(SHOWN + 1)])
    assert [line[-5:] for line in capsys.readouterr().err.splitlines()] == [", ..."] * 2
    warn_unknown("corpus.weights", ["a"], [])
    assert capsys.readouterr().err == "corpus.weights: no source 'a' in the data; it has none\n"


def ingested(project: Project) -> None:
    folder = project.root / "raw"
    folder.mkdir()
    (folder / "wiki.jsonl").write_text(json.dumps({"text": "河水从山谷里流出来。"}) + "\n")
    ingest(project, replace(PARAMS.ingest, path="raw", layouts={"wkii": "wudao"}, licences={"wiki": "x", "wikki": "y"}))


def deduped(project: Project) -> None:
    store(project, "cleaned", texts(prose(3), source="wiki"))
    dedup(project, replace(PARAMS.dedup, prefer=["wikki", "wiki"]))


def drawn(project: Project) -> None:
    scored(project, [5.0] * 4, ["wiki"] * 4)
    corpus(project, changed(PARAMS.corpus, weights={"wikki": 2.0, "wiki": 3.0}), FAKE)


def chosen(project: Project) -> None:
    rows = store(project, "mixed", pairs(4, source="wiki/old"))
    store(project, "losses", losses(rows, [0.5] * 4))
    select(project, changed(PARAMS.select, quotas={"wiki": 3, "wiki/odl": 2}), FAKE, not_asked)


@pytest.mark.parametrize(
    ("stage", "lines"),
    [
        (ingested, [("ingest.layouts", "wkii", "wiki"), ("ingest.licences", "wikki", "wiki")]),
        (deduped, [("dedup.prefer", "wikki", "wiki")]),
        (drawn, [("corpus.weights", "wikki", "wiki")]),
        (chosen, [("select.quotas", "wiki/odl", "wiki/old")]),
    ],
    ids=["ingest", "dedup", "corpus", "select"],
)
def test_the_stages_say_it(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stage: Callable[[Project], None],
    lines: list[tuple[str, str, str]],
) -> None:
    stage(Project(tmp_path))
    said = [line for line in capsys.readouterr().err.splitlines() if "no source" in line]
    assert said == [f"{key}: no source {name!r} in the data; did you mean {near!r}?" for key, name, near in lines]
