import math

import polars as pl
import pytest

from kun.schemas.select import LOSSES
from kun.select.scores import SMALLEST, with_scores


def losses(*rows: tuple[float | None, float | None]) -> pl.DataFrame:
    """One row for each (s_cond, s_direct), of 10 answer tokens; not asked for reversed."""
    whole = [
        {"id": str(number), "n_answer": 10, "s_cond": cond, "s_direct": direct, "reason": "ok", "truncated": False}
        for number, (cond, direct) in enumerate(rows)
    ]
    return pl.DataFrame(whole, schema=LOSSES)


def test_the_two_forms_of_ifd_rank_differently_and_cross_1_together() -> None:
    """The example of section 1: (0.2, 0.4) gives 0.50 / 0.82, (2.0, 3.0) gives 0.67 / 0.37."""
    scores = with_scores(losses((0.2, 0.4), (2.0, 3.0), (1.5, 1.5), (2.0, 1.5)))
    assert scores["ifd_loss"].to_list() == pytest.approx([0.5, 2 / 3, 1.0, 4 / 3])
    assert scores["ifd_ppl"].to_list() == pytest.approx([math.exp(-0.2), math.exp(-1), 1.0, math.exp(0.5)])
    assert ((scores["ifd_loss"] > 1) == (scores["ifd_ppl"] > 1)).all()


def test_ira_is_what_the_instruction_saves() -> None:
    table = losses((0.2, 0.4), (2.0, 1.39))
    assert with_scores(table)["ira"].to_list() == pytest.approx([0.2, -0.61])
    assert with_scores(table, reduction="sum")["ira"].to_list() == pytest.approx([2.0, -6.1])


def test_reversed_scores_come_from_the_losses_of_the_instruction() -> None:
    row = losses((1.0, 2.0)).with_columns(n_instruction=pl.lit(4), s_rcond=pl.lit(3.0), s_rdirect=pl.lit(4.0))
    scores = with_scores(row).row(0, named=True)
    assert (scores["rifd_loss"], scores["rifd_ppl"]) == pytest.approx((0.75, math.exp(-1)))
    assert (scores["ifd_loss"], scores["ira"]) == (0.5, 1.0)


def test_without_a_loss_or_with_next_to_none_there_is_no_ratio() -> None:
    scores = with_scores(losses((None, None), (1.0, None), (0.5, 0.0), (0.5, SMALLEST / 2), (0.5, SMALLEST)))
    for column in ("ifd_loss", "ifd_ppl"):
        assert scores[column].is_null().to_list() == [True, True, True, True, False]
        assert scores[column].is_finite().drop_nulls().all()
    assert scores["ira"].to_list() == pytest.approx([None, None, -0.5, SMALLEST / 2 - 0.5, SMALLEST - 0.5])
    assert scores["rifd_ppl"].null_count() == 5


def test_large_losses_do_not_overflow() -> None:
    """exp(800) is beyond float64, their quotient is not."""
    assert with_scores(losses((800.0, 799.0)))["ifd_ppl"].item() == pytest.approx(math.e)
