import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from kun.train import loss as module
from kun.train.batches import collate
from kun.train.examples import IGNORED
from kun.train.loss import PassThroughHead, TargetLoss

ROWS = [
    {"input_ids": [5, 6, 7, 8, 9, 10], "labels": [IGNORED, IGNORED, 7, 8, 9, 10]},
    {"input_ids": [11, 12, 13], "labels": [IGNORED, 12, 13]},
    {"input_ids": [14, 15, 16, 17], "labels": [IGNORED, IGNORED, IGNORED, 17]},
]
TARGETS = 7


def naive(states: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, items: int | None) -> torch.Tensor:
    logits = (states[:, :-1] @ weight.T).flatten(0, 1)
    if items is None:
        return cross_entropy(logits, labels[:, 1:].flatten(), ignore_index=IGNORED)
    return cross_entropy(logits, labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum") / items


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("items", [None, 20], ids=["mean", "given divisor"])
@pytest.mark.parametrize("trains_head", [False, True], ids=["lora", "full"])
@pytest.mark.parametrize("chunk", [1, 3, 128])
def test_loss_and_gradients_equal_cross_entropy(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, items: int | None, trains_head: bool, chunk: int
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    torch.manual_seed(0)
    states = torch.randn(3, 6, 8, dtype=dtype, requires_grad=True)
    layer = torch.nn.Linear(8, 40, bias=False, dtype=dtype).requires_grad_(trains_head)
    labels = collate(ROWS)["labels"]

    def gradients(value: torch.Tensor) -> list[torch.Tensor]:
        # Times 3: the gradient that comes from above must reach both.
        return list(torch.autograd.grad(3 * value, [states, layer.weight] if trains_head else [states]))

    ours = TargetLoss(PassThroughHead(layer))(SimpleNamespace(logits=states), labels, items)
    theirs = naive(states, layer.weight, labels, items)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    pairs = list(zip(gradients(ours), gradients(theirs), strict=True))
    assert len(pairs) == 1 + trains_head
    for got, expected in pairs:
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)
        assert float(expected.abs().max()) > 1e-3


def test_no_target_in_a_batch_is_no_loss_and_no_gradient() -> None:
    """With the divisor of the whole step, a part without targets must not turn into nan."""
    states = torch.randn(1, 4, 8, requires_grad=True)
    head = PassThroughHead(torch.nn.Linear(8, 40, bias=False))
    value = TargetLoss(head)(SimpleNamespace(logits=states), torch.full((1, 4), IGNORED), 5)
    value.backward()
    assert float(value) == 0.0
    assert states.grad is not None and float(states.grad.abs().max()) == 0.0


@pytest.fixture
def model(tiny_base: Path) -> AutoModelForCausalLM:
    return AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)


def with_head(model: AutoModelForCausalLM) -> tuple[AutoModelForCausalLM, TargetLoss]:
    model = copy.deepcopy(model)
    head = PassThroughHead(model.get_output_embeddings())
    model.set_output_embeddings(head)
    return model, TargetLoss(head)


def test_every_weight_of_a_whole_model_gets_the_same_gradient(model: AutoModelForCausalLM) -> None:
    """The output weight is tied to the embedding, so its gradient comes from both ends."""
    ours, loss = with_head(model)
    batch = collate(ROWS)
    model(**batch).loss.backward()
    loss(ours(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]), batch["labels"]).backward()
    theirs, got = dict(model.named_parameters()), dict(ours.named_parameters())
    assert theirs.keys() == got.keys()
    for name, parameter in theirs.items():
        torch.testing.assert_close(got[name].grad, parameter.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_padding_and_neighbours_do_not_change_a_row(model: AutoModelForCausalLM) -> None:
    ours, loss = with_head(model)

    def summed(rows: list[dict[str, list[int]]]) -> float:
        batch = collate(rows)
        return float(
            loss(ours(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]), batch["labels"], 1)
        )

    assert sum(summed([row]) for row in ROWS) == pytest.approx(summed(ROWS), rel=1e-5)


def test_collate_pads_on_the_right() -> None:
    batch = collate(ROWS)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 10], [11, 12, 13, 0, 0, 0], [14, 15, 16, 17, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1] * 6, [1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0]]
    assert batch["labels"][1].tolist() == [IGNORED, 12, 13, IGNORED, IGNORED, IGNORED]
    assert int((batch["labels"] != IGNORED).sum()) == TARGETS
