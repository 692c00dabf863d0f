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


def test_a_row_draws_the_same_beside_a_row_that_is_sorted_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chances from bfloat16 logits are equal by the dozen; a flat neighbour must not change how they are ordered."""
    monkeypatch.setattr(draws, "NUCLEUS", 64)
    logits = 6 * torch.randn(100, 3000, generator=torch.Generator().manual_seed(4))
    chances = logits.bfloat16().float().softmax(1)
    points = torch.rand(100, 1, generator=torch.Generator().manual_seed(5))
    flat = torch.full((1, 3000), 1 / 3000)
    alone = [_drawn(row[None], point[None], 0.9).item() for row, point in zip(chances, points, strict=True)]
    assert sum(row.topk(64).values.sum() >= 0.9 for row in chances) > 50, "most rows must do with the first look"
    beside = [
        _drawn(torch.cat([row[None], flat]), torch.cat([point[None], point[None]]), 0.9)[0].item()
        for row, point in zip(chances, points, strict=True)
    ]
    assert beside == alone


def test_draws_have_the_chances_of_the_nucleus() -> None:
    """0.5, 0.3 and 0.15 have 0.9 together only with the third; behind it nothing is drawn."""
    chances = torch.tensor([[0.03, 0.3, 0.02, 0.5, 0.15]]).expand(10_000, -1)
    points = torch.rand(10_000, 1, generator=torch.Generator().manual_seed(3))
    found = _drawn(chances, points, 0.9).bincount(minlength=5) / 10_000
    assert found[[0, 2]].tolist() == [0, 0]
    assert found[[3, 1, 4]].tolist() == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95], abs=0.02)
    assert set(_drawn(chances, points, 0.0).tolist()) == {3}
