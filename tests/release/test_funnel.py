import polars as pl

from kun.project import Project
from kun.release.funnel import funnel_frame, funnel_text, read_counts, source_frame
from kun.tables.shards import write_json


def counts(stage: str, rows_in: int, kept: int, failed: int = 0, **by_source: int) -> dict:
    books = {name: {"kept": number, "rejected": {}} for name, number in by_source.items()}
    gone = rows_in - kept - failed
    return {"stage": stage, "rows_in": rows_in, "kept": kept, "dropped": gone, "failed": failed, "by_source": books}


def test_stages_come_in_the_order_of_the_pipeline_and_missing_ones_are_skipped(project: Project) -> None:
    write_json(project.counts("judge"), counts("judge", 3, 3))
    write_json(project.counts("unheard"), counts("unheard", 3, 3))
    assert [one["stage"] for one in read_counts(project)] == ["ingest", "clean", "judge", "pairs", "mix", "select"]


def test_funnel_frame() -> None:
    frame = funnel_frame([counts("ingest", 8, 6, failed=1), counts("clean", 0, 0)])
    assert frame.rows() == [("ingest", 8, 6, 1, 1, 0.75), ("clean", 0, 0, 0, 0, None)]
    assert funnel_frame([]).columns == ["stage", "rows_in", "kept", "dropped", "failed", "share"]


def test_source_frame_counts_zero_for_a_source_that_is_gone() -> None:
    frame = source_frame([counts("ingest", 5, 5, a=3, b=2), counts("clean", 5, 3, a=3)])
    assert frame.rows() == [("a", 3, 3), ("b", 2, 0)]


def test_a_stage_that_does_not_know_its_sources_is_null_not_zero() -> None:
    frame = source_frame([counts("ingest", 5, 5, a=5), counts("label", 5, 4, a=0)])
    assert frame.rows() == [("a", 5, None)]


def test_text_is_aligned_by_display_width() -> None:
    frame = source_frame([counts("ingest", 1234, 1234, 茶经=1000, forum=234)])
    text = funnel_text(funnel_frame([counts("ingest", 2000, 1234)]), frame)
    assert text.splitlines() == [
        "stage   rows_in   kept  dropped  failed  share",
        "ingest    2,000  1,234      766       0  61.7%",
        "",
        "source  ingest",
        "forum      234",
        "茶经     1,000",
    ]


def test_text_without_sources() -> None:
    assert "source" not in funnel_text(funnel_frame([counts("ingest", 1, 1)]), source_frame([]))
    assert isinstance(source_frame([]), pl.DataFrame)
