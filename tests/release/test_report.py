import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from kun.errors import InputError
from kun.params import Params
from kun.project import Project
from kun.release.labels import CHINESE, ENGLISH
from kun.release.report import report
from kun.schemas import LOSSES, SELECTED
from kun.tables.shards import write_dataset
from tests.release.conftest import chosen

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Outline(HTMLParser):
    """Fails on tags that do not match; collects ids of sections, tag names and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.sections: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open += [] if tag in VOID else [tag]
        named = dict(attrs)
        self.sections += [str(named["id"])] if tag == "section" and "id" in named else []
        self.addresses += [str(named[name]) for name in ("href", "src") if name in named]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(page: Path) -> Outline:
    seen = Outline()
    seen.feed(page.read_text(encoding="utf-8"))
    assert not seen.open
    return seen


def test_metrics_by_hand(project: Project, params: Params) -> None:
    metrics = {
        "pairs": 3,
        "yield": 0.75,  # of 4 texts
        "p_good_mean": 0.75,
        "copy_rate_mean": 0.3,
        "support_mean": 0.7,
        "length_ratio_mean": 1.0,  # of the three pairs, not of the fourth polished row
        "instruction_chars_mean": 7.0,  # 6, 7, 8
        "answer_chars_mean": 11.3333,  # 13, 10, 11
    }
    assert report(project, params) == metrics
    assert json.loads((project.root / "metrics.json").read_text()) == metrics


@pytest.mark.parametrize(("page", "labels"), [("report.html", ENGLISH), ("report.zh-CN.html", CHINESE)])
def test_pages_are_whole_and_offline(project: Project, params: Params, page: str, labels: dict[str, str]) -> None:
    report(project, params)
    seen = outline(project.root / "reports" / page)
    assert seen.sections == ["funnel", "sources", "quality", "reasons", "distributions", "samples", "gates", "models"]
    assert seen.addresses == ["report.zh-CN.html" if page == "report.html" else "report.html"]
    assert not {"script", "img", "link", "iframe"} & seen.tags
    text = (project.root / "reports" / page).read_text(encoding="utf-8")
    assert f'<html lang="{labels["lang"]}">' in text and labels["reasons"] in text and labels["stage_clean"] in text
    assert "too_short" in text and "驿站的原文" in text and "驿站是古代传递公文的处所。" in text
    assert labels["not_passed"] in text and labels["heldout_loss"] in text and "judge.auc" in text


def test_nothing_of_a_record_becomes_markup(evil: Project, params: Params) -> None:
    report(evil, params)
    written = [*evil.root.glob("reports/report*.html"), *evil.root.glob("reports/plots/*.svg")]
    assert len(written) > 5
    for path in written:
        assert "<script" not in path.read_text(encoding="utf-8")
    for page in evil.root.glob("reports/report*.html"):
        assert "script" not in outline(page).tags
        assert "&lt;script&gt;" in page.read_text(encoding="utf-8")


def with_losses(project: Project) -> None:
    rows = pl.read_parquet(project.dataset("pairs") / "part-00000.parquet")
    known = {"n_answer": 9, "s_cond": [1.0, 3.0, 2.0], "s_direct": 2.0, "truncated": False, "reason": "ok"}
    empty = {name: pl.Series([None] * rows.height, dtype=dtype) for name, dtype in LOSSES.items()}
    write_dataset(project.dataset("losses"), pl.DataFrame(empty | {"id": rows["id"]} | known, schema=LOSSES), LOSSES)


def test_scores_have_a_part_of_their_own(evil: Project, params: Params) -> None:
    """Texts of others in every table of it, none of them markup."""
    with_losses(evil)
    report(evil, params)
    for page, labels in (("report.html", ENGLISH), ("report.zh-CN.html", CHINESE)):
        seen = outline(evil.root / "reports" / page)
        assert seen.sections.index("scores") == seen.sections.index("samples") - 1
        assert "script" not in seen.tags
        text = (evil.root / "reports" / page).read_text(encoding="utf-8")
        assert "<td>ifd_ppl</td><td>3</td><td>0.4311</td><td>1</td>" in text
        assert all(labels[name] in text for name in ("scores_lead", "by_length", "agreement", "highest", "lowest"))
        assert "ifd_ppl · p_good" in text and "ifd_ppl 2.718" in text
    scores = pl.read_csv(evil.root / "reports/plots/scores.csv").filter(pl.col("score") == "ifd_ppl")
    assert scores.rows() == [("ifd_ppl", 0.35, 1), ("ifd_ppl", 1.0, 1), ("ifd_ppl", 2.7, 1)]


def test_losses_without_a_score_have_no_part(project: Project, params: Params) -> None:
    write_dataset(project.dataset("losses"), pl.DataFrame(schema=LOSSES), LOSSES)
    report(project, params)
    assert "scores" not in outline(project.root / "reports" / "report.html").sections


def test_both_languages_have_the_same_labels() -> None:
    assert list(ENGLISH) == list(CHINESE)


def test_tables_for_dvc_plots(project: Project, params: Params) -> None:
    report(project, params)
    plots = project.root / "reports" / "plots"
    assert (plots / "funnel.csv").read_text() == "stage,kept\ningest,4\nclean,3\npairs,3\nmix,3\nselect,3\n"
    lengths = pl.read_csv(plots / "lengths.csv")
    assert lengths.rows() == [("text_chars", 0.0, 4), ("instruction_chars", 5.0, 3), ("answer_chars", 0.0, 3)]
    scores = pl.read_csv(plots / "scores.csv").filter(pl.col("score") == "copy_rate")
    assert scores.rows() == [("copy_rate", 0.2, 2), ("copy_rate", 0.5, 1), ("copy_rate", 1.0, 1)]


def test_pictures_are_xml_and_stale_ones_go(project: Project, params: Params) -> None:
    stale = project.root / "reports" / "plots" / "old.svg"
    stale.parent.mkdir(parents=True)
    stale.write_text("x")
    report(project, params)
    pictures = sorted(stale.parent.glob("*.svg"))
    assert {"funnel", "p_good", "ppl", "training-label"} < {picture.stem for picture in pictures}
    assert stale not in pictures
    for picture in pictures:
        ElementTree.fromstring(picture.read_text(encoding="utf-8"))


def test_same_bytes_on_a_second_run(project: Project, params: Params) -> None:
    def written() -> dict[Path, bytes]:
        report(project, params)
        paths = [
            project.root / "metrics.json",
            *project.root.glob("reports/report*"),
            *project.root.glob("reports/plots/*"),
        ]
        return {path: path.read_bytes() for path in paths}

    assert written() == written()


def test_only_the_selected_pairs_are_needed(tmp_path: Path, params: Params, pairs: pl.DataFrame) -> None:
    project = Project(tmp_path)
    write_dataset(project.dataset("selected"), chosen(pairs), SELECTED)
    metrics = report(project, params)
    assert "yield" not in metrics and "length_ratio_mean" not in metrics
    assert outline(tmp_path / "reports" / "report.html").sections == ["distributions", "samples"]


def test_an_empty_set_still_gets_its_report(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    write_dataset(project.dataset("selected"), chosen(pairs).clear(), SELECTED)
    assert report(project, params) == {"pairs": 0, "yield": 0.0}


def test_without_pairs_the_message_names_the_folder(tmp_path: Path, params: Params) -> None:
    with pytest.raises(InputError, match="data/selected"):
        report(Project(tmp_path), params)
