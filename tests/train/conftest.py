"""A project with a handful of seeds, ready to train on."""

from dataclasses import replace
from pathlib import Path

import pytest

from kun.params import Params, TrainTask
from kun.project import Project
from tests.made import HF, PARAMS, pinned, seed_pairs, seeds, store

EPOCHS = 3
TRAIN = replace(
    PARAMS.train,
    lora_rank=4,
    lora_alpha=8,
    lora_layers="all",
    learning_rate=0.02,
    batch_rows=2,
    device_rows=2,
    save_steps=2,
    label=TrainTask(epochs=EPOCHS, tasks={"label": 0}),
    chat=TrainTask(epochs=1, tasks={"answer": 4, "judge": 6, "polish": 2}),
)


@pytest.fixture
def params() -> Params:
    return replace(PARAMS, train=TRAIN, engine=HF)


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path) -> Project:
    """10 training pairs (5 steps an epoch), 3 held out."""
    project = pinned(tmp_path / "project", tiny_base)
    store(project, "seeds", seeds(seed_pairs(13), heldout=3))
    return project
