import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.reflection.choice import OUTCOMES, by_ifd, by_rifd, chosen, decided, outcome, repeated_share, repeats
from kun.reflection.pairs import outcomes, rules
from kun.schemas.reflection import CHOICE
from kun.tables.rules import split_by_rules
from tests.made import PARAMS, changed

STRICT = changed(PARAMS.reflection, margin=0.0)


def choice(**values: object) -> pl.DataFrame:
    """One row of CHOICE without choice and reason; both versions there, scored alike."""
    row = {name: "" if kind == pl.String else 0.5 for name, kind in CHOICE.items() if name not in ("choice", "reason")}
    row |= {"id": "a", "old_output": "旧", "new_output": "新", "refusal": ""}
    return pl.DataFrame([row | values], schema_overrides={name: CHOICE[name] for name in CHOICE if name in row})


def after_ifd(old: float | None, new: float | None, margin: float = 0.0, **values: object) -> tuple[str, str]:
    frame = decided(choice(old_ifd=old, new_ifd=new, **values), "ifd", by_ifd(margin))
    return frame["choice"][0], frame["reason"][0]


def after_rifd(old: float | None, new: float | None, margin: float = 0.0) -> tuple[str, str]:
    frame = decided(choice(old_rifd=old, new_rifd=new), "rifd", by_rifd(margin))
    return frame["choice"][0], frame["reason"][0]


def test_acceptance_1_the_harder_pair_and_the_fitting_answer_win() -> None:
    assert after_ifd(0.5, 0.6) == ("new", "better")
    assert after_ifd(0.6, 0.5) == ("old", "not_better")
    assert after_rifd(0.6, 0.5) == ("new", "better")
    assert after_rifd(0.5, 0.6) == ("old", "not_better")


def test_acceptance_1_equal_scores_keep_the_old_version_and_so_do_those_within_the_margin() -> None:
    assert after_ifd(0.5, 0.5) == after_rifd(0.5, 0.5) == ("old", "not_better")
    assert after_ifd(0.5, 0.505, margin=0.011) == ("old", "not_better")
    assert after_ifd(0.5, 0.51, margin=0.011) == ("new", "better")
    assert after_rifd(0.505, 0.5, margin=0.011) == ("old", "not_better")
    assert after_rifd(0.51, 0.5, margin=0.011) == ("new", "better")


MISSING = [None, math.nan, math.inf]


@pytest.mark.parametrize("missing", MISSING)
def test_acceptance_2_a_new_version_without_score_never_wins(missing: float | None) -> None:
    assert after_ifd(0.5, missing) == after_rifd(0.5, missing) == ("old", "new_unscored")


@pytest.mark.parametrize("missing", MISSING)
def test_acceptance_2_an_old_version_without_score_is_never_beaten(missing: float | None) -> None:
    """Such rows are dropped by the stage; the comparison alone must not prefer what it cannot compare."""
    assert after_ifd(missing, 0.5) == after_rifd(missing, 0.5) == ("old", "not_better")


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("score", ["ifd", "rifd"])
def test_acceptance_2_no_pair_without_score_is_data(missing: float | None, score: str) -> None:
    row = {"outcome": "both", "ifd": 0.5, "rifd": 0.5} | {score: missing}
    split = split_by_rules(
        pl.DataFrame([row], schema={"outcome": pl.String, "ifd": pl.Float64, "rifd": pl.Float64}), rules(STRICT)
    )
    assert split.dropped["reason"].to_list() == [score]


def test_a_refusal_keeps_the_old_version_under_its_name() -> None:
    assert after_ifd(0.5, None, refusal="truncated") == ("old", "truncated")
    assert after_ifd(0.5, 0.9, refusal="unchanged") == ("old", "unchanged")


SCORE = st.one_of(st.none(), st.floats(0, 3), st.just(math.nan))


@given(SCORE, SCORE, st.floats(0, 0.5))
def test_what_is_chosen_is_one_version_whole(old: float | None, new: float | None, margin: float) -> None:
    frame = decided(choice(old_ifd=old, new_ifd=new, old_input="旧", new_input="新"), "ifd", by_ifd(margin))
    row = chosen(frame).row(0, named=True)
    better = old is not None and new is not None and not math.isnan(old + new) and new > old * (1 + margin)
    assert (row["input"], row["output"]) == (("新", "新") if better else ("旧", "旧"))
    assert row["ifd"] is None if (new if better else old) is None else True


WAYS = {"both": ("new", "new"), "instruction": ("new", "old"), "answer": ("old", "new"), "original": ("old", "old")}


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("keep", [False, True])
def test_acceptance_1_truth_table(name: str, keep: bool) -> None:
    """The four outcomes of the published selection; it writes pairs with an exchanged answer only."""
    asked, answered = WAYS[name]
    frame = pl.DataFrame({"a": [asked], "b": [answered], "ifd": [0.9], "rifd": [0.8]})
    frame = frame.with_columns(outcome=outcome(pl.col("a"), pl.col("b")))
    assert frame["outcome"][0] == name
    params = changed(STRICT, keep_unreflected=keep)
    split = split_by_rules(frame, rules(params))
    written = name in ("both", "answer") or keep
    assert (split.kept.height, split.dropped["reason"].to_list()) == ((1, []) if written else (0, ["unreflected"]))
    assert outcomes(frame, params)[name] == {
        "pairs": 1,
        "as_published": int(name in ("both", "answer")),
        "keep_unreflected": 1,
    }
    assert outcomes(frame, changed(params, keep_unreflected=not keep)) == outcomes(frame, params), "both modes are told"


@pytest.mark.parametrize(("ifd", "rifd", "reason"), [(1.0, 0.5, "ifd"), (0.5, 1.0, "rifd"), (1.2, 1.2, "ifd")])
def test_finished_pairs_lie_below_one(ifd: float, rifd: float, reason: str) -> None:
    frame = pl.DataFrame({"outcome": ["both"], "ifd": [ifd], "rifd": [rifd]})
    assert split_by_rules(frame, rules(STRICT)).dropped["reason"].to_list() == [reason]
    assert outcomes(frame, STRICT)["both"] == {"pairs": 1, "as_published": 0, "keep_unreflected": 0}


def test_repeated_share_is_that_of_the_instruction() -> None:
    assert repeated_share("什么是蒸发？", "什么是蒸发？蒸发是……") == 1.0
    assert repeated_share("什么是蒸发？", "蒸发是一种现象。") == 0.0
    assert repeated_share("abcdef", "abcde") == pytest.approx(2 / 3)
    assert repeated_share("短", "短") == 0.0


def test_an_answer_that_repeats_its_instruction_does_not_win_unless_the_task_asks_for_it() -> None:
    asked = {"old_instruction": "什么是蒸发？", "new_instruction": "什么是蒸发？", "old_rifd": 0.9, "new_rifd": 0.1}
    echo = choice(**asked, new_output="什么是蒸发？蒸发是汽化。", old_output="一种汽化。")
    frame = decided(echo, "rifd", by_rifd(0.0), {"repeats_instruction": pl.lit(repeats(echo, STRICT))})
    assert (frame["choice"][0], frame["reason"][0]) == ("old", "repeats_instruction")
    both = choice(**asked, new_output="什么是蒸发？蒸发是汽化。", old_output="什么是蒸发？一种汽化。")
    assert repeats(both, STRICT).to_list() == [False]
