import fcntl
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kun.backtranslate.label import label_prompt
from kun.engine.base import Sampling
from kun.errors import InputError, ModelError
from kun.params import Params
from kun.project import Project
from kun.train import fit, sft
from kun.train.fit import COMPLETE
from kun.train.loss import TargetLoss
from kun.train.sft import train
from kun.work.engines import load_engine
from tests.made import pinned, seed_pairs, seeds, store
from tests.train.conftest import EPOCHS

STEPS = 5  # of an epoch: 10 pairs in batches of 2


class Killed(BaseException):
    """As sudden as a signal: nothing may catch it."""


def work(project: Project) -> Path:
    """The folder of the one training run in scratch."""
    (settings,) = project.scratch.glob("work/train-*/*/settings.json")
    return settings.parent


def products(project: Project, name: str = "label") -> dict[str, bytes]:
    """Every byte that a run leaves to DVC, DVCLive's files aside, which carry times."""
    files = [*project.adapter(name).iterdir(), project.root / "reports" / "train" / f"{name}.json"]
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Params], dict[str, bytes]]:
    """Products of an uninterrupted run, made once for each method."""
    made: dict[str, dict[str, bytes]] = {}

    def products_of(params: Params) -> dict[str, bytes]:
        method = params.train.method
        if method not in made:
            project = pinned(tmp_path_factory.mktemp(method) / "project", tiny_base)
            store(project, "seeds", seeds(seed_pairs(13), heldout=3))
            train(project, "label", params)
            made[method] = products(project)
        return made[method]

    return products_of


def killed_at(monkeypatch: pytest.MonkeyPatch, event: str, step: int, before: bool = False) -> None:
    """Let the run die at an event of its callback, when it has done its own part or `before`."""
    own = getattr(fit._Epochs, event)

    def dying(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not before or state.global_step != step:
            own(self, args, state, control, **kwargs)
        if state.global_step == step:
            raise Killed

    monkeypatch.setattr(fit._Epochs, event, dying)


KILLS = {
    "before the first checkpoint": ("on_step_end", 1, False),
    "in the second epoch": ("on_step_end", 7, False),
    "evaluated, not saved": ("on_evaluate", 10, False),
    "saved, not marked as whole": ("on_save", 8, True),
    "evaluated and saved at the end": ("on_save", 15, False),
}


@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_run_goes_on_to_the_same_bytes(
    project: Project,
    params: Params,
    whole: Callable[[Params], dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    kill: str,
) -> None:
    expected = whole(params)
    killed_at(monkeypatch, *KILLS[kill])
    with pytest.raises(Killed):
        train(project, "label", params)
    assert not project.adapter("label").exists(), "nothing is published before the end"
    monkeypatch.undo()
    train(project, "label", params)
    assert products(project) == expected


def test_a_killed_full_run_goes_on_to_the_same_bytes(
    project: Project, params: Params, whole: Callable[[Params], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = replace(params, train=replace(params.train, method="full", learning_rate=0.002))
    expected = whole(params)
    assert json.loads(expected["config.json"])["use_cache"] is True, "others who load it generate with a cache"
    killed_at(monkeypatch, "on_step_end", 7)
    with pytest.raises(Killed):
        train(project, "label", params)
    monkeypatch.undo()
    train(project, "label", params)
    assert products(project) == expected


def test_a_torn_checkpoint_is_passed_over(
    project: Project, params: Params, whole: Callable[[Params], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill in mid-save leaves a folder with half its files; the run goes on from the whole one before it."""
    killed_at(monkeypatch, "on_step_end", 7)
    with pytest.raises(Killed):
        train(project, "label", params)
    monkeypatch.undo()
    checkpoints = sorted(work(project).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    assert [path.name for path in checkpoints] == ["checkpoint-5", "checkpoint-6"]
    assert all((path / COMPLETE).is_file() for path in checkpoints)
    (checkpoints[1] / COMPLETE).unlink()
    (checkpoints[1] / "optimizer.pt").write_bytes(b"torn")
    steps = []
    own = fit._Epochs.on_step_end
    monkeypatch.setattr(
        fit._Epochs, "on_step_end", lambda self, a, s, c, **k: (steps.append(s.global_step), own(self, a, s, c, **k))[1]
    )
    train(project, "label", params)
    assert steps == list(range(6, EPOCHS * STEPS + 1)), "from checkpoint-5"
    assert products(project) == whole(params)


def test_a_checkpoint_of_another_kind_is_refused(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards (FSDP) and whole models are stored differently."""
    killed_at(monkeypatch, "on_step_end", 7)
    with pytest.raises(Killed):
        train(project, "label", params)
    monkeypatch.undo()
    for marker in work(project).glob("checkpoint-*/complete"):
        marker.write_text("sharded", encoding="utf-8")
    with pytest.raises(ModelError, match="was written with FSDP and cannot go on without it"):
        train(project, "label", params)


def test_gradient_checkpointing_changes_no_result(
    project: Project, params: Params, whole: Callable[[Params], dict[str, bytes]]
) -> None:
    params_of = replace(params, train=replace(params.train, gradient_checkpointing=True))
    train(project, "label", params_of)
    assert products(project) == whole(params)


def test_curves_go_by_step_and_survive_a_kill(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at(monkeypatch, "on_step_end", 7)
    with pytest.raises(Killed):
        train(project, "label", params)
    monkeypatch.undo()
    train(project, "label", params)
    curves = project.root / "reports/train/label/plots/metrics"
    every = [str(step) for step in range(1, EPOCHS * STEPS + 1)]
    for name, steps in (
        ("train_loss", every),
        ("learning_rate", every),
        ("grad_norm", every),
        ("heldout_loss", every[4::5]),
    ):
        lines = (curves / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
        assert [line.split("\t")[0] for line in lines] == ["step", *steps]
    work_files = project.root / "reports/work"
    assert len((work_files / "train-label.tsv").read_text(encoding="utf-8").splitlines()) == 1 + len(every)
    told = json.loads((work_files / "train-label.json").read_text(encoding="utf-8"))
    assert (told["steps"], told["processes"], told["device"]) == (15, 1, "cpu")
    assert told["tokens"] > told["target_tokens"] > 0 and told["peak_memory"] > 0
    before = {path.name: path.read_bytes() for path in work_files.iterdir()}
    train(project, "label", params)
    assert {path.name: path.read_bytes() for path in work_files.iterdir()} == before, "from scratch the same is told"


def test_a_finished_run_is_not_repeated(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(project, "label", params)
    first = products(project)
    assert not list(work(project).glob("checkpoint-*")), "checkpoints of a finished run only fill the disk"
    shutil.rmtree(project.adapter("label"))
    monkeypatch.setattr(fit, "load_model", lambda *args: pytest.fail("a model was loaded"))
    train(project, "label", params)
    assert products(project) == first


def test_what_decides_a_result_makes_a_new_run_and_the_rest_does_not(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(project, "label", params)
    loaded: list[object] = []
    own = fit.load_model
    monkeypatch.setattr(fit, "load_model", lambda *args: (loaded.append(args), own(*args))[1])
    train(project, "label", replace(params, train=replace(params.train, save_steps=9)))
    assert loaded == []
    train(project, "label", replace(params, train=replace(params.train, lora_rank=2)))
    assert len(loaded) == 1
    store(project, "seeds", seeds(seed_pairs(12), heldout=3))
    train(project, "label", params)
    assert len(loaded) == 2


def by_definition(project: Project, params: Params, pairs: list[tuple[str, str]]) -> float:
    """Held-out loss of models/label from the engine's own code: the mean over target and end tokens."""
    model = load_engine(project, params.engine, "label")
    prompts = [model.chat(label_prompt(output, params.label.lang)) for _, output in pairs]  # type: ignore[attr-defined]
    losses = model.losses([(prompt, f"{text}<|im_end|>") for prompt, (text, _) in zip(prompts, pairs, strict=True)])
    return sum(loss.total for loss in losses) / sum(loss.n_tokens for loss in losses)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_best_epoch_is_kept_and_the_engine_sees_what_was_trained(
    project: Project, params: Params, method: str
) -> None:
    """Held-out pairs that training makes ever less likely: the first epoch must win."""
    pairs = [("what is a lever", "杠杆。"), ("why is the sky blue?", "光。"), ("how do plants grow", "水。")]
    store(project, "seeds", seeds([*seed_pairs(10), *pairs], heldout=3))
    rate = 0.05 if method == "lora" else 0.005
    params = replace(params, train=replace(params.train, method=method, learning_rate=rate))
    summary = train(project, "label", params)
    assert summary is not None
    losses = {entry["epoch"]: entry["heldout_loss"] for entry in summary["history"]}
    assert sorted(losses) == [1, 2, 3]
    best = min(losses, key=lambda epoch: losses[epoch])
    assert best < EPOCHS, "or keeping the last epoch would pass too"
    assert (summary["best_epoch"], summary["heldout_loss"]) == (best, losses[best])
    assert by_definition(project, params, pairs) == pytest.approx(losses[best], abs=1e-4)
    assert min(abs(losses[epoch] - losses[best]) for epoch in losses if epoch != best) > 1e-3
    assert (project.adapter("label") / "adapter_config.json").is_file() == (method == "lora")


def test_training_lowers_the_loss_on_what_it_saw(project: Project, params: Params) -> None:
    summary = train(project, "label", replace(params, train=replace(params.train, learning_rate=0.005)))
    assert summary is not None
    trained = [entry["train_loss"] for entry in summary["history"]]
    assert trained == sorted(trained, reverse=True)
    tuned, plain = load_engine(project, params.engine, "label"), load_engine(project, params.engine, None)
    prompt = tuned.chat("河水")  # type: ignore[attr-defined]
    assert tuned.choices([prompt], ["【好】"]) != plain.choices([prompt], ["【好】"])
    assert tuned.generate([prompt], Sampling(4))


def test_what_is_published_names_the_base_and_not_this_machine(
    project: Project, params: Params, whole: Callable[[Params], dict[str, bytes]]
) -> None:
    published = whole(params)
    config = json.loads(published["adapter_config.json"])
    base = json.loads(project.base.read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == base["name"]
    assert published["chat_template.jinja"].decode() == base["chat_template"]
    assert set(published) == {"adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "label.json"}
    assert config["r"] == 4 and "lm_head" not in config["target_modules"]


def test_both_models_train_side_by_side(project: Project, params: Params) -> None:
    train(project, "label", replace(params, train=replace(params.train, label=replace(params.train.label, epochs=1))))
    label = products(project)
    summary = train(project, "chat", params)
    assert summary is not None
    assert summary["examples"] == {"train": 12, "heldout": 5}, "3/10 of 4, 6 and 2, rounded up"
    assert products(project) == label
    lines = (project.root / "reports/train/chat/plots/metrics/heldout_loss.tsv").read_text(encoding="utf-8")
    assert len(lines.splitlines()) == 2


@pytest.mark.parametrize("layers", ["all", 1])
def test_adapters_on_the_upper_layers_only(project: Project, params: Params, layers: Any) -> None:
    once = replace(params.train.label, epochs=1)
    train(project, "label", replace(params, train=replace(params.train, lora_layers=layers, label=once)))
    names = load_file(project.adapter("label") / "adapter_model.safetensors")
    found = {int(name.split("layers.")[1].split(".")[0]) for name in names}
    assert found == ({0, 1} if layers == "all" else {1})
    kinds = {name.split(".")[-3] for name in names}
    assert kinds == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_more_upper_layers_than_the_model_has_are_all_of_them(project: Project, params: Params) -> None:
    once = replace(params.train.label, epochs=1)
    train(project, "label", replace(params, train=replace(params.train, lora_layers=9, label=once)))
    names = load_file(project.adapter("label") / "adapter_model.safetensors")
    assert {int(name.split("layers.")[1].split(".")[0]) for name in names} == {0, 1}


def test_a_helper_rank_works_under_the_lock_of_the_main_one(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`accelerate launch` starts several processes for one run; only the first may ask for the lock."""
    once = replace(params, train=replace(params.train, label=replace(params.train.label, epochs=1)))
    train(project, "label", once)
    folder = work(project)
    shutil.rmtree(folder / "best")
    shutil.rmtree(project.adapter("label"))
    monkeypatch.setenv("RANK", "1")
    with (folder / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert train(project, "label", once) is None
    assert not (folder / "best" / COMPLETE).exists() and not project.adapter("label").exists(), "main's business"


def test_a_second_run_waits_and_trains_nothing(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(project, "label", params)
    monkeypatch.setattr(sft, "fit", lambda job: pytest.fail("trained again"))
    with (work(project) / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        released = threading.Event()

        def release() -> None:
            released.set()
            fcntl.flock(held, fcntl.LOCK_UN)

        threading.Timer(0.5, release).start()
        train(project, "label", params)
        assert released.is_set()
    assert "is at the same work; waiting for its results" in capsys.readouterr().err


def test_long_examples_are_left_out_and_counted(project: Project, params: Params) -> None:
    tokens = sft.load_tokens(project)
    units = sft.build_examples(seeds(seed_pairs(13), 0), params.train.label, params)
    sizes = sorted(len(sft.encode(example, tokens, "<|im_end|>").input_ids) for (example,) in units)
    once = replace(params.train.label, epochs=1)
    shorter = replace(params.train, max_length=sizes[-2], label=once)
    summary = train(project, "label", replace(params, train=shorter))
    assert summary is not None
    assert summary["left_out"] == len([size for size in sizes if size > sizes[-2]]) > 0
    assert sum(summary["examples"].values()) == 13 - summary["left_out"]
    with pytest.raises(InputError, match="no train examples for label") as caught:
        train(project, "label", replace(params, train=replace(shorter, max_length=16)))
    assert "\n" not in str(caught.value)


def test_a_batch_larger_than_the_data_is_the_data(project: Project, params: Params) -> None:
    once = replace(params.train, batch_rows=64, label=replace(params.train.label, epochs=1))
    summary = train(project, "label", replace(params, train=once))
    assert summary is not None and len(summary["history"]) == 1


def test_training_leaves_the_global_state_of_torch_usable(project: Project, params: Params) -> None:
    """Trainer seeds the process; the same seed twice gives the same weights whatever came before."""
    once = replace(params, train=replace(params.train, label=replace(params.train.label, epochs=1)))
    train(project, "label", once)
    first = products(project)
    shutil.rmtree(project.scratch / "work")
    torch.manual_seed(12345)
    torch.rand(100)
    train(project, "label", once)
    assert products(project) == first


def test_accumulated_rows_train_like_rows_at_once(project: Project, params: Params) -> None:
    whole = replace(params, train=replace(params.train, batch_rows=4, device_rows=4))
    at_once = train(project, "label", whole)
    by_one = train(project, "label", replace(whole, train=replace(whole.train, device_rows=1)))
    assert at_once is not None and by_one is not None
    for one, other in zip(by_one["history"], at_once["history"], strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)
        assert one["heldout_loss"] == pytest.approx(other["heldout_loss"], rel=1e-3)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_in_bfloat16_the_trained_weights_are_float32(project: Project, params: Params, method: str) -> None:
    """Computed in bfloat16, learned in float32: otherwise small updates are rounded away."""
    low = replace(params, engine=replace(params.engine, dtype="bfloat16"))
    rate = 0.05 if method == "lora" else 1e-3
    summary = train(project, "label", replace(low, train=replace(low.train, method=method, learning_rate=rate)))
    assert summary is not None
    losses = [epoch["heldout_loss"] for epoch in summary["history"]]
    assert losses[-1] < losses[0]
    weights = load_file(next(project.adapter("label").glob("*.safetensors")))
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


@pytest.mark.parametrize("where", ["step 1;", "step 5;"], ids=["in training", "on held-out examples"])
def test_a_loss_that_is_no_number_is_told(project: Project, params: Params, where: str) -> None:
    learns = where == "step 1;"
    own = TargetLoss.__call__

    def broken(self: TargetLoss, logits: torch.Tensor, *args: Any, **named: Any) -> torch.Tensor:
        value = own(self, logits, *args, **named)
        return value * torch.nan if torch.is_grad_enabled() == learns else value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TargetLoss, "__call__", broken)
        with pytest.raises(ModelError, match=rf"not a number at {where}.*train\.learning_rate"):
            train(project, "label", params)


def test_memory_that_does_not_suffice_names_the_knob(project: Project, params: Params) -> None:
    def too_large(self: Any, *args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TargetLoss, "__call__", too_large)
        with pytest.raises(ModelError, match=r"2\.00 GiB.*train\.device_rows") as caught:
            train(project, "label", params)
    assert "\n" not in str(caught.value)
