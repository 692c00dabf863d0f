import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.cache_utils import DynamicLayer

from kun.engine.cache import ROOM, GrowingLayer, growing_cache, repeated

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, ROOM + 20)),
        st.tuples(st.just("select"), st.lists(st.integers(0, 2), min_size=1, max_size=4)),
        st.tuples(st.just("repeat"), st.integers(1, 2)),
        st.tuples(st.just("crop"), st.integers(1, 3)),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_it_holds_what_a_layer_that_joins_at_every_step_holds(steps: list[tuple[str, object]]) -> None:
    ours, theirs = GrowingLayer(), DynamicLayer()
    rows, tokens = 3, 0
    for what, value in [("append", 5), *steps, ("append", 1)]:
        if what == "append":
            tokens += value  # type: ignore[operator]
            states = torch.randn(2, rows, 2, value, 4)  # type: ignore[call-overload]
            both = [layer.update(states[0], states[1]) for layer in (ours, theirs)]
            assert all(torch.equal(mine, other) for mine, other in zip(*both, strict=True))
        elif what == "select":
            chosen = torch.tensor([index % rows for index in value])  # type: ignore[attr-defined]
            for layer in (ours, theirs):
                layer.batch_select_indices(chosen)
            rows = len(chosen)
        elif what == "repeat" and rows < 20:
            for layer in (ours, theirs):
                layer.batch_repeat_interleave(value)
            rows *= value  # type: ignore[operator]
        elif what == "crop" and value < tokens:  # type: ignore[operator]
            for layer in (ours, theirs):
                layer.crop(-value)  # type: ignore[operator]
            tokens -= value  # type: ignore[operator]
        assert ours.get_seq_length() == theirs.get_seq_length() == tokens
        assert torch.equal(ours.keys, theirs.keys) and torch.equal(ours.values, theirs.values)


def test_a_step_within_the_room_copies_nothing() -> None:
    cache = growing_cache()
    cache.update(torch.randn(2, 1, 7, 4), torch.randn(2, 1, 7, 4), 0)
    keys, _ = cache.update(torch.randn(2, 1, 1, 4), torch.randn(2, 1, 1, 4), 0)
    for _ in range(ROOM - 1):
        more, _ = cache.update(torch.randn(2, 1, 1, 4), torch.randn(2, 1, 1, 4), 0)
        assert more.data_ptr() == keys.data_ptr()
    full, _ = cache.update(torch.randn(2, 1, 1, 4), torch.randn(2, 1, 1, 4), 0)
    assert full.data_ptr() != keys.data_ptr() and torch.equal(full[:, :, :8], keys)


def test_a_repeated_cache_leaves_the_first_as_it_was() -> None:
    cache = growing_cache()
    keys, values = (states.clone() for states in cache.update(torch.randn(1, 1, 7, 4), torch.randn(1, 1, 7, 4), 0))
    several = repeated(cache, 3)
    several.update(torch.randn(3, 1, 2, 4), torch.randn(3, 1, 2, 4), 0)
    assert several.layers[0].keys.shape == (3, 1, 9, 4)
    assert all(torch.equal(row[:, :7], keys[0]) for row in several.layers[0].keys)
    assert torch.equal(cache.layers[0].keys, keys) and torch.equal(cache.layers[0].values, values)
    assert cache.get_seq_length() == 7
