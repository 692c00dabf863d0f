import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from kun.errors import InputError
from kun.params import Params, Source
from kun.project import Project
from kun.report.report import report
from kun.report.words import PAGES
from kun.schemas.rejects import REJECT
from kun.schemas.select import LOSSES, SELECTED
from kun.tables.shards import write_dataset, write_json, write_text
from tests.release.conftest import EVIL, chosen

VOID = {"meta", "br", "hr", "img", "link", "input"}
SECTIONS = ["funnel", "pairs", "sources", "reasons", "distributions", "models", "gates"]


class Outline(HTMLParser):
    """Fails on tags that do not match; collects ids of sections, tag names, addresses and what scripts hold."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.sections: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open += [] if tag in VOID else [tag]
        named = dict(attrs)
        assert "style" not in named, "the policy of the page allows none"
        self.ids += [str(named["id"])] if "id" in named else []
        self.sections += [str(named["id"])] if tag == "section" else []
        self.addresses += [str(named[name]) for name in ("href", "src") if name in named]
        self.scripts += [""] if tag == "script" else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data


def outline(page: Path) -> Outline:
    seen = Outline()
    seen.feed(page.read_text(encoding="utf-8"))
    assert not seen.open
    assert len(seen.ids) == len(set(seen.ids))
    return seen


def records(page: Path) -> dict[str, list[dict[str, object]]]:
    """Table -> its rows."""
    tables = [json.loads(text) for text in outline(page).scripts if text.startswith("{")]
    return {table["columns"][0]["key"]: table["rows"] for table in tables}


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


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_whole_and_offline(project: Project, params: Params, page: str) -> None:
    report(project, params)
    words, seen = PAGES[page], outline(project.root / "reports" / page)
    assert seen.sections == SECTIONS
    outside = [address for address in seen.addresses if not address.startswith("#")]
    assert sorted(outside) == sorted(["data:,", *(other for other in PAGES if other != page)])
    assert not {"img", "iframe"} & seen.tags
    text = (project.root / "reports" / page).read_text(encoding="utf-8")
    assert f'<html lang="{words["lang"]}">' in text and words["reasons"] in text and words["stage_clean"] in text
    assert "too_short" in text and "驿站的原文" in text and "驿站是古代传递公文的处所。" in text
    assert words["not_passed"] in text and words["heldout_loss"] in text and "judge.auc" in text


def test_the_policy_allows_what_is_in_the_page_and_nothing_else(project: Project, params: Params) -> None:
    report(project, params)
    text = (project.root / "reports" / "index.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-[\w+/=]{44}'; style-src 'sha256-[\w+/=]{44}'; img-src data:; "
        r"base-uri 'none'; form-action 'none'",
        policy[1].replace("&#39;", "'"),
    )


def test_a_gate_leads_to_its_page(project: Project, params: Params) -> None:
    project.check("pairs").with_suffix(".html").write_text("x", encoding="utf-8")
    report(project, params)
    assert "checks/pairs.html" in outline(project.root / "reports" / "index.html").addresses


def test_nothing_of_a_record_becomes_markup(evil: Project, params: Params) -> None:
    with_losses(evil)
    report(evil, params)
    written = [*evil.root.glob("reports/index*.html"), *evil.root.glob("reports/plots/*.svg")]
    assert len(written) > 5
    for path in written:
        assert EVIL not in path.read_text(encoding="utf-8")
    for page in evil.root.glob("reports/index*.html"):
        shown = records(page)
        assert len(outline(page).scripts) == 3, "two tables and the script that shows them"
        assert shown["instruction"][0]["output"] == EVIL
        assert shown["excerpt"][0]["reason"] == EVIL
        assert "&lt;script&gt;" in page.read_text(encoding="utf-8")


def with_losses(project: Project) -> None:
    rows = pl.read_parquet(project.dataset("pairs") / "part-00000.parquet")
    known = {"n_answer": 9, "s_cond": [1.0, 3.0, 2.0], "s_direct": 2.0, "truncated": False, "reason": "ok"}
    empty = {name: pl.Series([None] * rows.height, dtype=dtype) for name, dtype in LOSSES.items()}
    write_dataset(project.dataset("losses"), pl.DataFrame(empty | {"id": rows["id"]} | known, schema=LOSSES), LOSSES)


def test_scores_have_a_part_of_their_own(project: Project, params: Params) -> None:
    with_losses(project)
    report(project, params)
    for page, words in PAGES.items():
        assert "scores" in outline(project.root / "reports" / page).sections
        text = (project.root / "reports" / page).read_text(encoding="utf-8")
        assert "<td>ifd_ppl</td><td>3</td><td>0.4311</td><td>1</td>" in text
        assert all(words[name] in text for name in ("scores_lead", "by_length", "agreement", "highest", "lowest"))
        assert "ifd_ppl · p_good" in text and "ifd_ppl 2.718" in text
    scores = pl.read_csv(project.root / "reports/plots/scores.csv").filter(pl.col("score") == "ifd_ppl")
    assert scores.rows() == [("ifd_ppl", 0.35, 1), ("ifd_ppl", 1.0, 1), ("ifd_ppl", 2.7, 1)]


def test_losses_without_a_score_have_no_part(project: Project, params: Params) -> None:
    write_dataset(project.dataset("losses"), pl.DataFrame(schema=LOSSES), LOSSES)
    report(project, params)
    assert "scores" not in outline(project.root / "reports" / "index.html").sections


def test_the_judge_is_drawn_where_its_curve_is_known(project: Project, params: Params) -> None:
    curve = [
        {"threshold": at / 20, "recall": max(0, 1.2 - at / 20), "false_rate": max(0, 0.8 - at / 20)} for at in range(21)
    ]
    trained = {"auc": 0.9, "auc_low": 0.85, "auc_high": 0.95}
    write_json(project.root / "reports/evaluate.json", {"judge": {"rows": 5, "trained": trained}})
    report(project, params)
    page = project.root / "reports" / "index.html"
    assert "trained judge: AUC 0.9" in page.read_text(encoding="utf-8")
    write_json(project.root / "reports/evaluate.json", {"judge": {"rows": 5, "trained": trained | {"curve": curve}}})
    report(project, params)
    drawn = {path.stem for path in project.root.glob("reports/plots/judge-*.svg")}
    assert drawn == {"judge-thresholds", "judge-reliability", "judge-roc"}
    assert "AUC 0.900 (0.85–0.95)" in page.read_text(encoding="utf-8")


def test_clusters_of_duplicates_are_told(project: Project, params: Params) -> None:
    rows = [
        [f"x{n}", "dedup", "dropped", "near_duplicate", f"jaccard 0.9{n}0 with a1", "0.5", "forum", f"相近的文本{n}"]
        for n in range(7)
    ]
    write_dataset(project.rejects("dedup"), pl.DataFrame(rows, schema=REJECT, orient="row"), REJECT)
    report(project, params)
    page = project.root / "reports" / "index.html"
    assert "duplicates" in outline(page).sections
    text = page.read_text(encoding="utf-8")
    assert "7 rows left for 1 that stayed" in text and "相近的文本4" in text and "and 2 more" in text


@pytest.mark.parametrize(
    ("page", "there"), [("index.html", "glan/coverage.html"), ("index.zh-CN.html", "glan/coverage.zh-CN.html")]
)
def test_the_coverage_of_glan_is_a_page_away_where_it_is_in_the_mix(
    project: Project, params: Params, page: str, there: str
) -> None:
    written = project.root / "reports" / page
    glan = {"glan": Source("data/glan/pairs", "reports/glan/checks/pairs.json")}
    mixed = replace(params, mix=replace(params.mix, sources=params.mix.sources | glan))
    report(project, mixed)
    assert "coverage" not in outline(written).sections, "its pipeline has not told it yet"
    for name in ("coverage.html", "coverage.zh-CN.html"):
        write_text(project.root / "reports/glan" / name, "x")
    report(project, params)
    assert "coverage" not in outline(written).sections, "a source that is not in the mix"
    report(project, mixed)
    assert "coverage" in outline(written).sections
    assert [address for address in outline(written).addresses if address.startswith("glan/")] == [there]


def test_a_server_is_named_where_it_did_the_work(project: Project, params: Params) -> None:
    server = replace(
        params.engine.server, url="http://127.0.0.1:1/v1", models={"label": "Qwen/Qwen3-8B", "chat": "/srv/me/judge"}
    )
    report(project, replace(params, engine=replace(params.engine, backend="hf", server=server)))
    assert "Qwen/Qwen3-8B" not in (project.root / "reports/index.html").read_text(encoding="utf-8")
    report(project, replace(params, engine=replace(params.engine, backend="openai", server=server)))
    for page, words in PAGES.items():
        text = (project.root / "reports" / page).read_text(encoding="utf-8")
        assert f"<td>{words['served_label']}</td><td>Qwen/Qwen3-8B</td>" in text
        assert f"<td>{words['served_chat']}</td><td>judge</td>" in text and "/srv" not in text


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
            *project.root.glob("reports/index*"),
            *project.root.glob("reports/plots/*"),
        ]
        return {path: path.read_bytes() for path in paths}

    assert written() == written()


def test_only_the_selected_pairs_are_needed(tmp_path: Path, params: Params, pairs: pl.DataFrame) -> None:
    project = Project(tmp_path)
    write_dataset(project.dataset("selected"), chosen(pairs), SELECTED)
    metrics = report(project, params)
    assert "yield" not in metrics and "length_ratio_mean" not in metrics
    assert outline(tmp_path / "reports" / "index.html").sections == ["pairs", "distributions"]


def test_an_empty_set_still_gets_its_report(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    write_dataset(project.dataset("selected"), chosen(pairs).clear(), SELECTED)
    assert report(project, params) == {"pairs": 0, "yield": 0.0}
    for page, words in PAGES.items():
        assert words["empty"] in (project.root / "reports" / page).read_text(encoding="utf-8")
        assert outline(project.root / "reports" / page).sections == [name for name in SECTIONS if name != "pairs"]


def test_a_set_with_rows_is_not_called_empty(project: Project, params: Params) -> None:
    report(project, params)
    assert PAGES["index.html"]["empty"] not in (project.root / "reports/index.html").read_text(encoding="utf-8")


def test_nothing_but_an_empty_set(tmp_path: Path, params: Params, pairs: pl.DataFrame) -> None:
    project = Project(tmp_path)
    write_dataset(project.dataset("selected"), chosen(pairs).clear(), SELECTED)
    assert report(project, params) == {"pairs": 0}
    assert outline(tmp_path / "reports" / "index.html").sections == ["distributions"]


def test_without_pairs_the_message_names_the_folder(tmp_path: Path, params: Params) -> None:
    with pytest.raises(InputError, match="data/selected"):
        report(Project(tmp_path), params)


def test_a_spoilt_shard_is_named(project: Project, params: Params) -> None:
    (project.dataset("judged") / "part-00000.parquet").write_bytes(b"spoilt")
    with pytest.raises(InputError, match="data/judged"):
        report(project, params)


def test_both_languages_have_the_same_words() -> None:
    english, chinese = PAGES.values()
    assert list(english) == list(chinese)
    for key, word in english.items():
        assert set(re.findall(r"\{\w+\}", word)) == set(re.findall(r"\{\w+\}", chinese[key])), key


def test_every_word_is_used() -> None:
    sources = Path(report.__code__.co_filename).parent
    written = "".join(
        path.read_text(encoding="utf-8")
        for path in sources.rglob("*")
        if path.suffix in (".py", ".j2", ".js") and path.stem not in ("english", "chinese")
    )
    composed = ("stage_", "judge_", "by_", "work_", "_mean")
    unused = [
        key
        for key in PAGES["index.html"]
        if not re.search(rf"\b{key}\b", written) and not any(part in key for part in composed)
    ]
    assert unused == []
