"""What people say, as a part of the report."""

import re
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from kun.errors import InputError
from kun.params import Params
from kun.project import Project
from kun.release.files import render
from kun.report.report import PARTS, report
from kun.report.words import PAGES
from kun.votes.shown import load_shown
from kun.votes.store import append, votes_folder
from kun.votes.vote import Kind, Vote
from tests.release.conftest import EVIL
from tests.report.test_report import outline


def say(project: Project, record: str, verdict: Kind, reviewer: str = "anna", seen: str = "", **edit: str) -> None:
    shown = load_shown(project, [record])[record]
    append(votes_folder(project), Vote(record, shown.dataset, verdict, reviewer, seen or shown.seen, edit))


@pytest.fixture
def voted(project: Project) -> Project:
    """Of the pairs, one with p_good 0.6 was judged; d4 left at clean, too short."""
    for record, anna, li in (
        ("a1", "keep", "keep"),
        ("b2", "drop", "keep"),
        ("c3", "drop", "drop"),
        ("d4", "keep", "keep"),
    ):
        say(project, record, anna)  # type: ignore[arg-type]
        say(project, record, li, "li")  # type: ignore[arg-type]
    say(project, "a1", "edit", "wang", output="高山，流水。")
    say(project, "b2", "keep", "wang", seen="another text")
    return project


def section(project: Project, params: Params, page: str) -> str:
    """The HTML of the part without white space between tags, "" where there is none."""
    report(project, params)
    text = (project.root / "reports" / page).read_text(encoding="utf-8")
    found = re.search(r'<section id="votes".*?</section>', text, re.S)
    return re.sub(r"\s+", " ", found[0]).replace("> <", "><") if found else ""


@pytest.mark.parametrize("page", PAGES)
def test_all_that_votes_say_is_told_in_the_language_of_the_page(voted: Project, params: Params, page: str) -> None:
    told, words = section(voted, params, page), PAGES[page]
    tiles = [
        (10, words["votes_on"].format(records=4)),
        (1, words["voted_out"]),
        (1, words["edited"]),
        (1, words["stale_votes"]),
    ]
    for figure, word in tiles:
        assert f"<b>{figure}</b><span>{word}</span>" in told
    for row in (("anna", 4, 2, 2, 0, 0), ("li", 4, 3, 1, 0, 0), ("wang", 2, 1, 0, 1, 1)):
        assert f'<th scope="row">{row[0]}</th>' + "".join(f"<td>{figure}</td>" for figure in row[1:]) in told
    assert '<th scope="row">anna · li</th><td>4</td><td>75%</td><td>0.5</td>' in told
    assert words["people_judge_lead"].format(good=1, bad=0) + "</p>" in told, "no area without a bad one"
    assert (
        f'<th scope="row">{words["stage_clean"]}</th><td class="list"><code>too_short</code></td><td>1</td><td>1</td>'
        in told
    )
    assert '<td>100% <span class="interval">21–100%</span></td>' in told


def test_the_present_threshold_is_marked_and_what_nothing_passes_has_no_precision(
    voted: Project, params: Params
) -> None:
    told = section(voted, params, "index.html")
    (now,) = re.findall(r'<tr class="now"><th scope="row">≥ ([\d.]+) <span class="bad">now</span>', told)
    assert float(now) == params.judge.threshold
    assert '<th scope="row">≥ 0.6</th><td>1</td><td>100% <span' in told
    assert '<th scope="row">≥ 0.7</th><td>0</td><td>–</td><td>0% <span' in told


def test_the_picture_has_a_band_for_each_interval(voted: Project, params: Params) -> None:
    report(voted, params)
    drawn = ElementTree.fromstring((voted.root / "reports/plots/votes.svg").read_text(encoding="utf-8"))
    bands = [one.get("class") for one in drawn.iter() if one.get("opacity") == "0.16"]
    assert bands == ["fill-one", "fill-two"]


def test_without_votes_nothing_is_said_and_nothing_is_read(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kun.votes.shown.stored", None)
    assert section(project, params, "index.html") == ""
    assert not (project.root / "reports/plots/votes.svg").exists()
    (votes_folder(project)).mkdir(parents=True)
    (votes_folder(project) / "README.md").write_text("Votes of people", encoding="utf-8")
    assert section(project, params, "index.html") == "", "a new project"


def test_votes_that_are_all_stale_are_counted(project: Project, params: Params) -> None:
    say(project, "a1", "keep", seen="another text")
    told = section(project, params, "index.html")
    assert f"<b>1</b><span>{PAGES['index.html']['stale_votes']}</span>" in told
    assert "AUC" not in told and "<svg" not in told


def test_a_line_that_is_no_vote_is_named(voted: Project, params: Params) -> None:
    (votes_folder(voted) / "li.jsonl").write_text(f'{{"reviewer": "{EVIL}"}}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"li\.jsonl:1 is no vote"):
        report(voted, params)


def test_names_and_reasons_are_text() -> None:
    """Whatever the files let through."""
    estimate = {"value": 0.5, "low": 0.1, "high": 0.9}
    row = {"reviewer": EVIL, "votes": 1, "keep": 1, "drop": 0, "edit": 0, "stale": 0}
    summary = {name: 1 for name in ("votes", "records", "voted_out", "edited", "stale")} | {"judge": {}}
    summary |= {
        "reviewers": [row],
        "agreement": [{"left": EVIL, "right": EVIL, "records": 1, "same": 1.0, "kappa": None}],
    }
    summary |= {"rules": [{"stage": EVIL, "reason": EVIL, "records": 1, "kept": 1, "wrong": estimate}]}
    found = SimpleNamespace(votes=summary, marks={})
    for words in PAGES.values():
        told = render(PARTS / "votes.html.j2", t=words, found=found, stages={}, pictures={})
        assert EVIL not in told and told.count("&lt;script&gt;") == 5


def test_the_page_with_votes_is_whole_and_the_same_twice(voted: Project, params: Params) -> None:
    page = voted.root / "reports/index.html"
    report(voted, params)
    first = page.read_bytes()
    assert "votes" in outline(page).sections
    report(voted, params)
    assert page.read_bytes() == first
