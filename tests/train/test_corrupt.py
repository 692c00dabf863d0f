import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.backtranslate.phrases import DANGLING as DANGLING_PATTERN
from kun.backtranslate.phrases import OTHER_MODES
from kun.train.corrupt import CLUTTER, CORRUPTIONS, DANGLING, MODES, UNSEEN, cluttered
from tests.made import seed_pairs

SEEDS = [instruction for instruction, _ in seed_pairs(60)]
KINDS = CORRUPTIONS | UNSEEN


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoilt_instruction_differs_and_comes_again_with_its_seed(kind: str) -> None:
    spoil = KINDS[kind]
    spoilt = [spoil(text, random.Random(number)) for number, text in enumerate(SEEDS)]
    assert spoilt == [spoil(text, random.Random(number)) for number, text in enumerate(SEEDS)]
    assert not set(spoilt) & set(SEEDS)
    assert all(text.strip() for text in spoilt)


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text("春天河水，。？ab", min_size=4, max_size=40), seed=st.integers(0, 50))
def test_no_instruction_is_too_odd_to_spoil(kind: str, text: str, seed: int) -> None:
    assert isinstance(KINDS[kind](text, random.Random(seed)), str)


def test_each_kind_has_the_fault_that_it_is_named_for() -> None:
    rng = random.Random(0)
    for text in SEEDS:
        cut = CORRUPTIONS["truncated"](text, rng)
        assert text.startswith(cut) and 1 <= len(cut) <= max(3, 0.6 * len(text))
        assert CORRUPTIONS["duplicated"](text, rng).count(text) >= 2
        behind = CORRUPTIONS["dangling"](text, rng)
        assert behind.endswith(text) and behind.removesuffix(f"，{text}") in DANGLING
        assert Counter(CORRUPTIONS["scrambled"](text, rng)) == Counter(text), "the same characters in another order"
        torn = UNSEEN["blanked"](text, rng)
        assert "\n" * 4 in torn and torn.replace("\n", "") == text.replace("\n", "")
        assert text not in CORRUPTIONS["personal"](text, rng)


def test_the_rules_know_what_the_judge_is_taught() -> None:
    """A dangling reference or a picture that the pipeline itself makes up must not pass its own rules."""
    assert [phrase for phrase in DANGLING if not DANGLING_PATTERN.search(phrase)] == []
    assert [phrase for phrase in MODES if not (OTHER_MODES.search(phrase) or DANGLING_PATTERN.search(phrase))] == []


@given(st.integers(0, 300))
def test_clutter_surrounds_a_text_and_leaves_it_whole(seed: int) -> None:
    text, other = "河水流过山谷。\n湖面很宽。", "竹子长得快。它有节。"
    lines = cluttered(text, [other], random.Random(seed))
    assert text in lines
    rest = set(lines.replace(text, "").split("\n")) - {""}
    assert rest <= {*CLUTTER, "竹子长得快。"}


def test_some_texts_stay_clean() -> None:
    """A polisher that always finds something to cut would cut clean texts too."""
    made = [cluttered("河水。", ["湖。"], random.Random(seed)) for seed in range(100)]
    assert 0 < made.count("河水。") < 30
