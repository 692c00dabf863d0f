import copy
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

from kun.train import loss as module
from kun.train.batches import collate
from kun.train.examples import IGNORED
from kun.train.loss import PassThroughHead, TargetLoss, learn_targets, own_config

ROWS = [
    {"input_ids": [5, 6, 7, 8, 9, 10], "labels": [IGNORED, IGNORED, 7, 8, 9, 10]},
    {"input_ids": [11, 12, 13], "labels": [IGNORED, 12, 13]},
    {"input_ids": [14, 15, 16, 17], "labels": [IGNORED, IGNORED, IGNORED, 17]},
]
TARGETS = 7


def naive(
    states: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, items: int | None, cap: float | None = None
) -> torch.Tensor:
    logits = (states[:, :-1] @ weight.T).flatten(0, 1)
    if cap is not None:
        logits = cap * torch.tanh(logits / cap)
    if items is None:
        return cross_entropy(logits, labels[:, 1:].flatten(), ignore_index=IGNORED)
    return cross_entropy(logits, labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum") / items


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("items", [None, 20], ids=["mean", "given divisor"])
@pytest.mark.parametrize("trains_head", [False, True], ids=["lora", "full"])
@pytest.mark.parametrize("chunk", [1, 3, 128])
@pytest.mark.parametrize("cap", [None, 0.5], ids=["plain", "capped"])
def test_loss_and_gradients_equal_cross_entropy(
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype,
    items: int | None,
    trains_head: bool,
    chunk: int,
    cap: float | None,
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    torch.manual_seed(0)
    states = torch.randn(3, 6, 8, dtype=dtype, requires_grad=True)
    layer = torch.nn.Linear(8, 40, bias=False, dtype=dtype).requires_grad_(trains_head)
    labels = collate(ROWS)["labels"]

    def gradients(value: torch.Tensor) -> list[torch.Tensor]:
        # Times 3: the gradient that comes from above must reach both.
        return list(torch.autograd.grad(3 * value, [states, layer.weight] if trains_head else [states]))

    loss = TargetLoss(PassThroughHead(layer), cap)
    ours = loss(states, labels, num_items_in_batch=items)
    with torch.no_grad():
        assert float(loss(states, labels, num_items_in_batch=items)) == float(ours), "without gradients too"
    theirs = naive(states, layer.weight, labels, items, cap)
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), rel=1e-5)
    pairs = list(zip(gradients(ours), gradients(theirs), strict=True))
    assert len(pairs) == 1 + trains_head
    for got, expected in pairs:
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)
        assert float(expected.abs().max()) > 1e-3


def test_no_target_in_a_batch_is_no_loss_and_no_gradient() -> None:
    """With the divisor of the whole step, a part without targets must not turn into nan."""
    states = torch.randn(1, 4, 8, requires_grad=True)
    head = PassThroughHead(torch.nn.Linear(8, 40, bias=False))
    value = TargetLoss(head)(states, torch.full((1, 4), IGNORED), num_items_in_batch=5)
    value.backward()
    assert float(value) == 0.0
    assert states.grad is not None and float(states.grad.abs().max()) == 0.0


@pytest.fixture
def model(tiny_base: Path) -> AutoModelForCausalLM:
    return AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)


@pytest.fixture
def capped() -> Gemma2ForCausalLM:
    """Gemma 2 in small, its logits far beyond the cap."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 60}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    model = Gemma2ForCausalLM(Gemma2Config(**sizes, **heads, final_logit_softcapping=2.0, initializer_range=0.5))
    return model.eval()


@pytest.mark.parametrize("name", ["model", "capped"])
def test_every_weight_of_a_whole_model_gets_the_same_gradient(name: str, request: pytest.FixtureRequest) -> None:
    """The output weight is tied to the embedding, so its gradient comes from both ends."""
    plain = request.getfixturevalue(name)
    ours = copy.deepcopy(plain)
    learn_targets(ours)
    batch = collate(ROWS)
    mask = torch.tensor([[1] * len(row["input_ids"]) + [0] * (6 - len(row["input_ids"])) for row in ROWS])
    theirs = plain(**batch, attention_mask=mask).loss
    theirs.backward()
    loss = ours(**batch).loss
    loss.backward()
    assert float(loss) == pytest.approx(float(theirs), rel=1e-5)
    expected, got = dict(plain.named_parameters()), dict(ours.named_parameters())
    assert expected.keys() == got.keys()
    for weight, parameter in expected.items():
        torch.testing.assert_close(got[weight].grad, parameter.grad, rtol=1e-4, atol=1e-6, msg=weight)


def test_a_capped_model_is_saved_as_one(capped: Gemma2ForCausalLM, tmp_path: Path) -> None:
    learn_targets(capped)
    with own_config(capped):
        capped.save_pretrained(tmp_path)
    assert capped.config.final_logit_softcapping is None
    assert Gemma2ForCausalLM.from_pretrained(tmp_path).config.final_logit_softcapping == 2.0


def test_a_saved_model_generates_as_the_one_that_was_loaded(model: AutoModelForCausalLM, tmp_path: Path) -> None:
    """Training keeps no keys and values; whoever loads what was saved wants them kept."""
    learn_targets(model)
    assert model.config.use_cache is False
    with own_config(model):
        model.save_pretrained(tmp_path)
    assert model.config.use_cache is False, "training goes on"
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config.use_cache is True


def test_padding_and_neighbours_do_not_change_a_row(model: AutoModelForCausalLM) -> None:
    learn_targets(model)

    def summed(rows: list[dict[str, list[int]]]) -> float:
        return float(model(**collate(rows), num_items_in_batch=1).loss)

    assert sum(summed([row]) for row in ROWS) == pytest.approx(summed(ROWS), rel=1e-5)


def test_collate_pads_on_the_right() -> None:
    batch = collate(ROWS)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 10], [11, 12, 13, 0, 0, 0], [14, 15, 16, 17, 0, 0]]
    assert batch["labels"][1].tolist() == [IGNORED, 12, 13, IGNORED, IGNORED, IGNORED]
    assert int((batch["labels"] != IGNORED).sum()) == TARGETS
