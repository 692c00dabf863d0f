import json
from pathlib import Path

import polars as pl
import pytest

from kun.errors import ConfigError
from kun.params import Diversity, Rank, Select
from kun.project import Project
from kun.schemas.select import SELECTED
from kun.select.choose import pair_text, select
from kun.tables.shards import read_dataset
from tests.made import FAKE, HF, PARAMS, assert_conserved, changed, ledger, pinned, reasons, store
from tests.select.made import losses, not_asked, pairs

SELECT = PARAMS.select
COUNT = 12
COND = [0.2 * number for number in range(COUNT - 1)] + [None]
"""Of rows 0 to 11; the direct loss is 2, so rows 10 and 11 never pass IFD < 1."""
IFD = changed(
    SELECT,
    filters=[{"score": "ifd_ppl", "below": 1.0}],
    rank=Rank("ifd_ppl", True),
    diversity=Diversity("none", 1.0, 3),
)


def prepared(root: Path, order: list[int] | None = None) -> tuple[Project, list[str]]:
    project, rows = Project(root), pairs(COUNT)
    store(project, "mixed", rows[order] if order else rows)
    store(project, "losses", losses(rows, COND))
    return project, rows["id"].to_list()


def selected(project: Project) -> pl.DataFrame:
    return read_dataset(project.dataset("selected"))


def ranks(project: Project) -> list[str]:
    return selected(project).sort("rank")["id"].to_list()


def test_by_default_every_pair_stays_in_its_order(tmp_path: Path) -> None:
    project, ids = prepared(tmp_path)
    counts = select(project, SELECT, FAKE, not_asked)
    assert counts is not None
    assert_conserved(project, "select", "selected", ids, counts)
    kept = selected(project)
    assert kept.select(pairs(1).columns).equals(pairs(COUNT))
    assert ranks(project) == sorted(ids)
    assert json.loads((project.dataset("arms") / "arms.json").read_text()) == {"rows": COUNT, "from": COUNT, "arms": []}
    assert json.loads(project.work("select").read_text())["rows"] == 0


@pytest.mark.parametrize(
    ("top", "expected"), [(0.25, [9, 8, 7]), (4, [9, 8, 7, 6]), (0, []), (0.05, []), (1.0, list(range(9, -1, -1)))]
)
def test_acceptance_8_the_top_or_all_that_qualify(tmp_path: Path, top: float, expected: list[int]) -> None:
    project, ids = prepared(tmp_path)
    counts = select(project, changed(IFD, top=top), FAKE, not_asked)
    assert counts is not None
    assert_conserved(project, "select", "selected", ids, counts)
    assert ranks(project) == [ids[row] for row in expected]
    rejected = dict.fromkeys(ids, "top") | {ids[10]: "ifd_ppl_high", ids[11]: "no_ifd_ppl"}
    assert reasons(project, "select") == {key: why for key, why in rejected.items() if key not in ranks(project)}
    assert (counts["asked"], counts["qualified"]) == (int(top * COUNT) if isinstance(top, float) else top, 10)


def test_a_rejected_row_tells_its_rank(tmp_path: Path) -> None:
    project, ids = prepared(tmp_path)
    select(project, changed(IFD, top=3), FAKE, not_asked)
    row = ledger(project, "select").filter(pl.col("id") == ids[0]).row(0, named=True)
    assert (row["value"], row["threshold"], row["source"]) == ("rank 10", "<= 3", "made")
    assert row["excerpt"] == pairs(1)["instruction"].item()


def diverse(method: str, pool: float = 1.0) -> Select:
    return changed(IFD, top=4, diversity=Diversity(method, pool, 3), dup_threshold=0.9, quotas={"made": 9})  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["facility", "kcenter", "clusters"])
def test_the_order_of_the_rows_decides_nothing(tmp_path: Path, method: str, tiny_base: Path) -> None:
    found = []
    for name, order in (("first", None), ("second", list(range(COUNT))[::-1])):
        project, ids = prepared(tmp_path / name, order)
        pinned(project.root, tiny_base)
        counts = select(project, diverse(method), FAKE, not_asked)
        assert counts is not None and counts["kept"] == 4
        assert_conserved(project, "select", "selected", ids, counts)
        found.append((ranks(project), reasons(project, "select")))
        assert selected(project)["rank"].sort().to_list() == [1, 2, 3, 4]
    assert found[0] == found[1]
    assert {"diversity", "ifd_ppl_high", "no_ifd_ppl", "quota"} == set(found[0][1].values())


def test_the_pool_is_the_best_of_the_ranking_and_holds_what_is_asked_for(tmp_path: Path, tiny_base: Path) -> None:
    project, ids = prepared(tmp_path)
    pinned(project.root, tiny_base)
    select(project, diverse("facility", pool=0.5), FAKE, not_asked)
    assert set(ranks(project)) <= set(ids[4:10])
    assert {key for key, why in reasons(project, "select").items() if why == "pool"} == set(ids[1:4])
    select(project, diverse("facility", pool=1), FAKE, not_asked)
    assert set(ranks(project)) == set(ids[6:10]), "a pool below the number asked for is as large as that"


def test_with_a_real_model_equal_pairs_are_not_chosen_twice(tmp_path: Path, tiny_base: Path) -> None:
    """Ten rows of which eight say the same: the three kinds come first."""
    project = pinned(tmp_path, tiny_base)
    rows = pairs(10).with_columns(
        pl.when(pl.int_range(10) < 8).then(pl.lit(pairs(1)[name].item())).otherwise(name).alias(name)
        for name in ("instruction", "output")
    )
    store(project, "mixed", rows)
    store(project, "losses", losses(rows, [1.0] * 10))
    select(project, changed(SELECT, top=3, diversity=Diversity("facility", 1.0, 3)), HF, not_asked)
    assert selected(project)["instruction"].n_unique() == 3
    work = json.loads(project.work("select").read_text())
    assert work["rows"] == 3, "equal texts are embedded once"


def test_nothing_is_embedded_when_all_stay(tmp_path: Path) -> None:
    """No base model is pinned here, so asking one would be an error."""
    project, _ = prepared(tmp_path)
    counts = select(project, changed(diverse("facility"), top=COUNT, quotas={}), FAKE, not_asked)
    assert counts is not None and counts["kept"] == 10


def test_arms_are_as_large_as_the_selection_and_of_rows_that_pass_the_filters(tmp_path: Path) -> None:
    project, ids = prepared(tmp_path)
    select(project, changed(IFD, top=4, arms=["random", "longest", "score_only"]), FAKE, not_asked)
    sets = {name: read_dataset(project.dataset("arms") / name) for name in ("random", "longest", "score_only")}
    for rows in sets.values():
        assert rows.height == 4 and rows.schema == pl.Schema(SELECTED)
        assert set(rows["id"]) <= set(ids[:10])
    assert sets["score_only"].equals(selected(project)), "without diversity the score is all there is"
    select(project, changed(IFD, top=4, arms=["random"]), FAKE, not_asked)
    assert sorted(path.name for path in project.dataset("arms").iterdir()) == ["arms.json", "random"], "old ones go"


def test_a_score_that_no_pair_has_is_an_error_that_says_where_to_look(tmp_path: Path) -> None:
    project, _ = prepared(tmp_path)
    with pytest.raises(ConfigError, match="select uses rifd_ppl, which no pair has; see the section losses"):
        select(project, changed(SELECT, filters=[{"score": "rifd_ppl", "below": 1.0}]), FAKE, not_asked)


def test_no_pairs_give_an_empty_set(tmp_path: Path) -> None:
    project = Project(tmp_path)
    store(project, "mixed", pairs(0))
    store(project, "losses", losses(pairs(0), []))
    counts = select(project, changed(IFD, arms=["random"]), FAKE, not_asked)
    assert counts is not None and counts["rows_in"] == counts["kept"] == 0


def test_the_text_of_a_pair() -> None:
    assert pair_text({"instruction": "翻译", "input": "", "output": "好"}) == "翻译\n好"
    assert pair_text({"instruction": "翻译", "input": "good", "output": "好"}) == "翻译\ngood\n好"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"filters": [{"score": "ifd", "below": 1}]}, "score must be one of ifd_loss"),
        ({"filters": [{"below": 1}]}, "score must be one of"),
        ({"filters": [{"score": "ira"}]}, "besides score it takes"),
        ({"filters": [{"score": "ira", "under": 1}]}, "besides score it takes"),
        ({"filters": [{"score": "ira", "below": 1, "at_most": 2}]}, "besides score it takes"),
        ({"filters": [{"score": "ira", "below": "1"}]}, "a limit must be a number"),
        ({"filters": [{"score": "ira", "below": float("nan")}]}, "a limit must be a number"),
        ({"filters": [{"score": "ira", "below": 1}, {"score": "ira", "above": 0}]}, "one filter for each score"),
        ({"arms": ["score_only"]}, "the arm score_only needs a score to rank by"),
    ],
)
def test_senseless_parameters_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(SELECT, **values)
