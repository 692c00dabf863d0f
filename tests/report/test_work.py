import json

from kun.params import Params
from kun.project import Project
from kun.report.chinese import CHINESE
from kun.report.report import report
from kun.report.work import COLUMNS, model_work, work_text
from kun.tables.shards import write_json
from kun.work.telemetry import Work
from tests.release.conftest import EVIL

WORK = Work(
    rows=10, measured=10, seconds=4.0, tokens_in=900, padded=1000, processes=1, device={"cpu"}, dtype={"float32"}
)


def test_rows_come_in_the_order_of_the_pipeline(project: Project) -> None:
    for name in ("polish", "evaluate-label", "perplexity", "label"):
        write_json(project.work(name), WORK.metrics(name))
    found = model_work(project)
    assert [row["stage"] for row in found] == ["perplexity", "evaluate-label", "label", "polish"]
    assert (found[0]["rows"], found[0]["rows_per_second"], found[0]["padding"]) == ("10", "2.5", "10.0%")
    assert found[0]["where"] == "cpu, float32"
    assert "evaluate-label" in work_text(found)


def test_a_stage_that_asked_no_model_has_no_row(project: Project) -> None:
    write_json(project.work("corpus"), Work().metrics("corpus"))
    write_json(project.work("train-label"), {"seconds": 9.0, "tokens": 100})
    assert [row["stage"] for row in model_work(project)] == ["train-label"]


def test_every_figure_of_the_table_is_told(project: Project) -> None:
    assert set(COLUMNS) <= set(WORK.metrics("label"))
    write_json(project.work("label"), {"stage": "label"})
    (row,) = model_work(project)
    assert {row[name] for name in ("stage", *COLUMNS, "where")} == {"label", "–", ""}, "of another version"


def test_the_page_has_the_table_in_both_languages(project: Project, params: Params) -> None:
    report(project, params)
    page = project.root / "reports" / "index.zh-CN.html"
    assert CHINESE["work"] not in page.read_text(encoding="utf-8"), "no model has worked"
    write_json(project.work("label"), WORK.metrics("label") | {"device": EVIL})
    report(project, params)
    assert CHINESE["work"] in page.read_text(encoding="utf-8")
    assert EVIL not in page.read_text(encoding="utf-8")


def test_a_run_from_scratch_leaves_the_page_as_it_was(project: Project, params: Params) -> None:
    """What the rows cost stays true; only the file says how many this run found."""
    page = project.root / "reports" / "index.html"
    write_json(project.work("label"), WORK.metrics("label"))
    report(project, params)
    first = page.read_bytes()
    figures = json.loads(project.work("label").read_text(encoding="utf-8")) | {"from_scratch": 1.0}
    write_json(project.work("label"), figures)
    report(project, params)
    assert page.read_bytes() == first
