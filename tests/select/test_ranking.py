import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.params import Rank
from kun.select.ranking import amount, arm, filter_rules, ranked, scored, within_quotas, without_repeats
from kun.tables.rules import split_by_rules
from tests.made import PARAMS, changed
from tests.select.made import losses, pairs

SELECT = PARAMS.select
IFD = changed(SELECT, filters=[{"score": "ifd_ppl", "below": 1.0}], rank=Rank("ifd_ppl", True))


@pytest.mark.parametrize(
    ("wanted", "rows", "expected"),
    [
        (1.0, 7, 7),
        (0.5, 7, 3),
        (0.29, 100, 29),
        (0.1, 30, 3),
        (0.001, 100, 0),
        (0, 9, 0),
        (5, 3, 5),
        (1, 9, 1),
        (0.0, 9, 0),
    ],
)
def test_a_share_is_of_the_rows_that_come_in_and_a_number_is_itself(wanted: float, rows: int, expected: int) -> None:
    assert amount(wanted, rows) == expected


def test_filters_name_what_is_wrong_with_a_row() -> None:
    rows = scored(pairs(5), losses(pairs(5), [1.0, 2.0, 2.5, None, 1.9]))
    params = changed(
        SELECT, filters=[{"score": "ifd_ppl", "below": 1.0}, {"score": "p_good", "at_least": 0.1, "at_most": 0.3}]
    )
    split = split_by_rules(rows, filter_rules(params))
    told = {row["id"]: (row["reason"], row["value"], row["threshold"]) for row in split.dropped.iter_rows(named=True)}
    ids = rows["id"].to_list()
    assert split.kept.is_empty()
    assert told == {
        ids[0]: ("p_good_low", "0.0", ">= 0.1"),
        ids[1]: ("ifd_ppl_high", "1.0", "< 1.0"),  # 1 itself: the instruction does not help
        ids[2]: ("ifd_ppl_high", "1.6487", "< 1.0"),
        ids[3]: ("no_ifd_ppl", "prompt_too_long", "a score"),
        ids[4]: ("p_good_high", "0.4", "<= 0.3"),
    }


@pytest.mark.parametrize("limit", ["below", "at_most", "above", "at_least"])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_passes_no_filter(limit: str, value: float | None) -> None:
    rows = scored(pairs(2), losses(pairs(2), [1.0, 1.0])).with_columns(p_good=pl.Series([0.5, value]))
    split = split_by_rules(rows, filter_rules(changed(SELECT, filters=[{"score": "p_good", limit: 0.5}])))
    assert split.dropped.filter(pl.col("id") == rows["id"][1])["reason"].item() == "no_p_good"


def test_a_row_without_the_score_that_ranks_it_is_not_chosen() -> None:
    rows = scored(pairs(2), losses(pairs(2), [1.0, None]))
    split = split_by_rules(rows, filter_rules(changed(SELECT, rank=Rank("ira", True))))
    assert split.dropped["reason"].to_list() == ["no_ira"]


SCORES = st.one_of(st.none(), st.floats(0, 5))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(SCORES, min_size=1, max_size=12),
    st.sampled_from(["ifd_ppl", "ifd_loss"]),
    st.randoms(use_true_random=False),
)
def test_acceptance_8_never_null_nor_from_1_on_and_no_matter_in_which_order(values, score, random) -> None:  # type: ignore[no-untyped-def]
    made = pairs(len(values))
    params = changed(SELECT, filters=[{"score": score, "below": 1.0}], rank=Rank(score, True))

    def chosen(rows: pl.DataFrame) -> pl.DataFrame:
        table = losses(made, values).sample(fraction=1, shuffle=True, seed=random.randrange(99))
        split = split_by_rules(scored(rows, table), filter_rules(params))
        return ranked(split.kept, params.rank, 7).select("id", "rank", score)

    order = random.sample(range(len(values)), len(values))
    first = chosen(made)
    assert first.equals(chosen(made[order]))
    assert first.height == sum(value is not None and value < 2.0 for value in values)
    assert first[score].is_sorted(descending=True) and (first[score] < 1).all()


@pytest.mark.parametrize("by", ["none", "random", "length", "support"])
def test_equal_rows_stand_in_the_order_of_their_ids(by: str) -> None:
    rows = scored(pairs(6), losses(pairs(6), [1.0] * 6)).with_columns(length=pl.lit(5))
    first, again = (ranked(some, Rank(by, True), 7) for some in (rows, rows.reverse()))  # type: ignore[arg-type]
    assert first.equals(again)
    assert first["rank"].to_list() == [1, 2, 3, 4, 5, 6]
    assert (first["id"].to_list() == sorted(rows["id"])) == (by != "random")


def test_a_random_order_is_that_of_its_seed() -> None:
    rows = pairs(20)
    orders = {seed: ranked(rows, Rank("random", True), seed)["id"].to_list() for seed in (1, 2)}
    assert orders[1] == ranked(rows, Rank("random", True), 1)["id"].to_list() != orders[2]


def test_of_two_instructions_alike_the_lower_ranked_goes() -> None:
    rows = pairs(3).with_columns(
        instruction=pl.Series(["请介绍中国古代的驿站制度。", "请说明水稻怎样种植", "请介绍中国古代的驿站制度！"])
    )
    kept, dropped = without_repeats(rows, 0.9, 7)
    assert kept["id"].to_list() == rows["id"].to_list()[:2]
    assert dropped["reason"].to_list() == ["near_duplicate"] and rows["id"][0] in dropped["value"].item()
    assert without_repeats(rows, 0, 7)[0].equals(rows)


def test_the_same_instruction_on_another_input_is_no_repeat() -> None:
    rows = pairs(2).with_columns(
        instruction=pl.lit("翻译成英文"), input=pl.Series(["春眠不觉晓，处处闻啼鸟", "疑是地上霜"])
    )
    assert without_repeats(rows, 0.9, 7)[0].height == 2


def test_a_quota_takes_the_first_of_a_source_or_a_folder() -> None:
    rows = pairs(7).with_columns(
        source=pl.Series(["essays/a", "forum", "essays/b", "forum", "essays/a", "wiki", "forum"])
    )
    split = within_quotas(rows, {"essays": 2, "forum": 0.25}, 4)
    assert split.kept["source"].to_list() == ["essays/a", "forum", "essays/b", "wiki"]
    assert split.dropped.select("reason", "value", "threshold").rows() == [
        ("quota", "row 2 of forum", "<= 1"),
        ("quota", "row 3 of essays", "<= 2"),
        ("quota", "row 3 of forum", "<= 1"),
    ]
    assert split.kept.columns == rows.columns
    assert within_quotas(rows, {}, 4).kept.equals(rows)


def test_arms_are_of_the_size_asked_for_and_of_their_kind() -> None:
    rows = scored(pairs(10), losses(pairs(10), [0.1 * number for number in range(10)]))
    longest = arm(rows, "longest", 3, IFD.rank, 7)
    assert longest["length"].to_list() == rows["length"].sort(descending=True).head(3).to_list()
    assert arm(rows, "score_only", 3, IFD.rank, 7)["id"].to_list() == rows["id"].to_list()[:-4:-1]
    assert arm(rows, "random", 3, IFD.rank, 7).equals(arm(rows.reverse(), "random", 3, IFD.rank, 7))
