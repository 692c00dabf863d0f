import polars as pl
import pytest

from kun.report.scores import TOPS, agreement, agreements, by_length, distributions, ends, spearman

IDS = [f"id{number:02}" for number in range(20)]


def scored(**columns: list[float | None]) -> pl.DataFrame:
    """Twenty rows whose answers grow by a character each."""
    names = ("ifd_loss", "ifd_ppl", "rifd_loss", "rifd_ppl", "ira", "s_direct", "p_good")
    empty = {name: pl.Series([None] * 20, dtype=pl.Float64) for name in names}
    texts = {"id": IDS, "n_output": range(1, 21)}
    return pl.DataFrame(texts | empty | columns)


RISING: list[float | None] = [0.1 * n for n in range(20)]


def test_the_distribution_of_a_score_by_hand() -> None:
    known = [*RISING[:19], None]
    (row,) = distributions(scored(ifd_ppl=known))
    assert row == pytest.approx(
        {
            "score": "ifd_ppl",
            "rows": 19,
            "low": 0.09,
            "median": 0.9,
            "high": 1.71,
            "from_one": 9 / 19,
            "with_length": 1.0,
        }
    )
    (row,) = distributions(scored(ira=RISING[::-1]))
    assert row["from_one"] is None and row["with_length"] == pytest.approx(-1)
    assert distributions(scored()) == []


def test_groups_of_like_size_by_length() -> None:
    rows = by_length(scored(ifd_ppl=RISING), "ifd_ppl")
    assert [(row["shortest"], row["longest"], row["rows"]) for row in rows] == [
        (1, 4, 4),
        (5, 8, 4),
        (9, 12, 4),
        (13, 16, 4),
        (17, 20, 4),
    ]
    assert [row["median"] for row in rows] == pytest.approx([0.15, 0.55, 0.95, 1.35, 1.75])
    assert sum(row["rows"] for row in by_length(scored(ifd_ppl=[*RISING[:13], *[None] * 7]), "ifd_ppl")) == 13


def table(values: list[float | None], ids: list[str] = IDS) -> pl.DataFrame:
    return pl.DataFrame({"id": ids, "score": values})


def test_agreement_with_itself_its_reverse_and_another_order_of_rows() -> None:
    same = agreement(table(RISING), table(RISING[::-1], IDS[::-1]))
    assert same == {"rows": 20, "spearman": pytest.approx(1), "overlap": dict.fromkeys(TOPS, 1.0)}
    against = agreement(table(RISING), table(RISING[::-1]))
    assert against["spearman"] == pytest.approx(-1) and set(against["overlap"].values()) == {0.0}


def test_agreement_counts_rows_with_both_and_the_top_in_common() -> None:
    other = [*RISING[:16], 1.9, 1.8, 1.7, 1.6]  # the last four turned round
    told = agreement(table(RISING), table(other))
    assert told["overlap"] == {0.05: 0.0, 0.1: 0.0, 0.2: 1.0}
    few = agreement(table([*RISING[:3], *[None] * 17]), table(RISING))
    assert few["rows"] == 3 and few["overlap"][0.05] is None


def test_only_scores_that_rows_have_are_compared() -> None:
    told = agreements(scored(ifd_ppl=RISING, p_good=RISING))
    assert [(row["left"], row["right"]) for row in told] == [("ifd_ppl", "p_good")]


def test_spearman_shares_the_ranks_of_equal_values() -> None:
    assert spearman(pl.Series([1, 2, 2, 3]), pl.Series([1, 2, 3, 4])) == pytest.approx(0.9486833)
    assert spearman(pl.Series([1, 1, 1]), pl.Series([1, 2, 3])) is None


def test_the_rows_at_each_end() -> None:
    found = ends(scored(ifd_ppl=[*RISING[:19], None]), "ifd_ppl")
    assert [row["id"] for row in found["highest"]] == IDS[18::-1]
    assert [row["id"] for row in found["lowest"]] == IDS[:19]
    assert found["lowest"][3] == {"id": "id03", "score": pytest.approx(0.3)}
