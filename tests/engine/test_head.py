import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.engine.head import PIECE, likeliest, logits_of

SIZES = st.sampled_from([1, 7, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5])


@settings(max_examples=20, deadline=None)
@given(vocabulary=SIZES, positions=st.integers(1, 9), seed=st.integers(0, 99))
def test_pieces_give_what_the_whole_gives(vocabulary: int, positions: int, seed: int) -> None:
    torch.manual_seed(seed)
    head, states = torch.randn(vocabulary, 8), torch.randn(positions, 8)
    logits = logits_of(head, states)
    assert logits.shape == (vocabulary, positions)
    torch.testing.assert_close(logits, head @ states.T)
    assert torch.equal(likeliest(logits), logits.argmax(0))


def test_logits_are_float32_whatever_the_model_computes_in() -> None:
    head, states = torch.randn(9, 4, dtype=torch.bfloat16), torch.randn(2, 4, dtype=torch.bfloat16)
    assert logits_of(head, states).dtype == torch.float32


@pytest.mark.parametrize("place", [0, PIECE - 1, PIECE, 2 * PIECE])
def test_the_likeliest_entry_is_found_wherever_it_lies(place: int) -> None:
    logits = torch.zeros(2 * PIECE + 1, 3)
    logits[place, 1] = 1.0
    assert likeliest(logits)[1] == place
