import pytest
import torch

from kun.engine import draws
from kun.engine.draws import _drawn


@pytest.mark.parametrize("looked_at", [1, 5, 40, 200])
@pytest.mark.parametrize("top_p", [0.0, 0.3, 0.9, 0.999, 1.0])
def test_how_many_tokens_are_looked_at_first_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, looked_at: int, top_p: float
) -> None:
    chances = (3 * torch.randn(300, 200, generator=torch.Generator().manual_seed(1))).softmax(1)
    points = torch.rand(300, 1, generator=torch.Generator().manual_seed(2))
    whole = _drawn(chances, points, top_p)
    monkeypatch.setattr(draws, "NUCLEUS", looked_at)
    assert _drawn(chances, points, top_p).equal(whole)


def test_draws_have_the_chances_of_the_nucleus() -> None:
    """0.5, 0.3 and 0.15 have 0.9 together only with the third; behind it nothing is drawn."""
    chances = torch.tensor([[0.03, 0.3, 0.02, 0.5, 0.15]]).expand(10_000, -1)
    points = torch.rand(10_000, 1, generator=torch.Generator().manual_seed(3))
    found = _drawn(chances, points, 0.9).bincount(minlength=5) / 10_000
    assert found[[0, 2]].tolist() == [0, 0]
    assert found[[3, 1, 4]].tolist() == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95], abs=0.02)
    assert set(_drawn(chances, points, 0.0).tolist()) == {3}
