import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.engine import head as heads
from kun.engine.head import LOSS_PIECE, PIECE, likeliest, logits_of, losses_of

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


@settings(max_examples=20, deadline=None)
@given(
    vocabulary=st.sampled_from([1, LOSS_PIECE - 1, LOSS_PIECE, 3 * LOSS_PIECE + 5]),
    positions=st.integers(0, 9),
    cap=st.sampled_from([None, 2.0]),
    seed=st.integers(0, 99),
)
def test_losses_in_pieces_are_those_of_all_logits(
    vocabulary: int, positions: int, cap: float | None, seed: int
) -> None:
    torch.manual_seed(seed)
    head, states = 4 * torch.randn(vocabulary, 8), torch.randn(positions, 8)
    targets = torch.randint(vocabulary, (positions,))
    logits = states @ head.T if cap is None else cap * torch.tanh(states @ head.T / cap)
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(losses_of(head, states, targets, cap), expected, rtol=1e-5, atol=1e-5)


def test_losses_of_many_positions_go_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    head, states, targets = torch.randn(50, 8), torch.randn(11, 8), torch.randint(50, (11,))
    whole = losses_of(head, states, targets, None)
    monkeypatch.setattr(heads, "LOSS_POSITIONS", 4)
    torch.testing.assert_close(losses_of(head, states, targets, None), whole)


def test_a_certain_token_costs_nothing_in_bfloat16() -> None:
    """Both terms of a loss are rounded alike; an exact logit beside a rounded sum would give a loss below zero."""
    head = torch.tensor([[37.3], [0.1]], dtype=torch.bfloat16)
    told = losses_of(head, torch.tensor([[1.7]], dtype=torch.bfloat16), torch.tensor([0]), None)
    assert told.dtype == torch.float32
    assert told.tolist() == [0.0]


def test_logits_are_float32_whatever_the_model_computes_in() -> None:
    head, states = torch.randn(9, 4, dtype=torch.bfloat16), torch.randn(2, 4, dtype=torch.bfloat16)
    assert logits_of(head, states).dtype == torch.float32


@pytest.mark.parametrize("place", [0, PIECE - 1, PIECE, 2 * PIECE])
def test_the_likeliest_entry_is_found_wherever_it_lies(place: int) -> None:
    logits = torch.zeros(2 * PIECE + 1, 3)
    logits[place, 1] = 1.0
    assert likeliest(logits)[1] == place
