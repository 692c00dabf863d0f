import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.glan.samples import Sample, double_sets, draw_samples, every_sample, sets_over, single_sets

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=4)
MODES = st.sampled_from(["sizes", "sets"])


@pytest.mark.parametrize(("m", "sets"), [(5, 31), (3, 7), (1, 1), (6, 62)])
def test_sets_of_one_session(m: int, sets: int) -> None:
    assert single_sets(m) == sets


@pytest.mark.parametrize(("m1", "m2", "sets"), [(5, 5, 575), (3, 4, 97), (1, 1, 1), (4, 3, 97)])
def test_sets_over_two_sessions(m1: int, m2: int, sets: int) -> None:
    assert double_sets(m1, m2) == sets


def test_sets_of_a_subject() -> None:
    assert sum(sets_over([5] * 20).values()) == 109_870


@given(SIZES)
def test_the_counts_are_those_of_the_listed_sets(sizes: list[int]) -> None:
    assert {over: len(set(every_sample(sizes, over))) for over in (1, 2)} == sets_over(sizes)


@given(SIZES, st.integers(0, 40), st.floats(0, 1), MODES, st.integers())
def test_every_sample_has_the_concepts_of_its_strategy(
    sizes: list[int], count: int, p_double: float, mode: str, seed: int
) -> None:
    drawn = draw_samples(sizes, count, p_double, mode, seed)  # type: ignore[arg-type]
    assert len(set(drawn)) == len(drawn) == min(count, sum(sets_over(sizes).values()))
    for sample in drawn:
        assert {session for session, _ in sample.concepts} == set(sample.sessions)
        assert all(concept < sizes[session] for session, concept in sample.concepts)
        if sample.strategy == "single":
            assert 1 <= len(sample.concepts) <= min(5, sizes[sample.sessions[0]])
        else:
            assert len(sample.sessions) == 2 <= len(sample.concepts) <= 5


@pytest.mark.parametrize("mode", ["sizes", "sets"])
def test_sampling_covers_the_space_without_repetition(mode: str) -> None:
    drawn = draw_samples([5, 5], 10_000, 0.5, mode, 7)  # type: ignore[arg-type]
    assert len(drawn) == 31 + 31 + 575
    assert set(drawn) == {*every_sample([5, 5], 1), *every_sample([5, 5], 2)}


@given(SIZES, st.integers(1, 20), st.integers(1, 20), MODES)
def test_more_questions_keep_the_first_ones(sizes: list[int], first: int, more: int, mode: str) -> None:
    few, many = (draw_samples(sizes, count, 0.5, mode, "subject") for count in (first, first + more))  # type: ignore[arg-type]
    assert many[: len(few)] == few


def test_a_subject_with_one_session_falls_back_to_it() -> None:
    drawn = draw_samples([4], 10, 1.0, "sizes", 7)
    assert {sample.strategy for sample in drawn} == {"single"}
    assert len(drawn) == 10


def test_both_strategies_are_used_as_often_as_asked() -> None:
    drawn = draw_samples([5] * 8, 400, 0.5, "sizes", 7)
    assert 150 < sum(sample.strategy == "double" for sample in drawn) < 250
    assert draw_samples([5] * 8, 30, 0.0, "sizes", 7) != draw_samples([5] * 8, 30, 0.0, "sizes", 8)
    assert {sample.strategy for sample in draw_samples([5] * 8, 30, 1.0, "sizes", 7)} == {"double"}


def test_weighing_by_sets_prefers_sessions_with_many_concepts() -> None:
    drawn = draw_samples([1, 6], 40, 0.0, "sets", 7)
    assert sum(sample.sessions == (1,) for sample in drawn) > 30


def test_the_strategy_is_the_number_of_sessions() -> None:
    assert [Sample(tuple(range(n)), ()).strategy for n in (1, 2)] == ["single", "double"]
