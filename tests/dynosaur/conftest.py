"""A project whose datasets are read, and replies that a model might have given."""

from pathlib import Path

import polars as pl
import pytest

from kun.corpus.text import text_id
from kun.dynosaur.datasets import datasets
from kun.project import Project
from tests.dynosaur.made_datasets import params, reply, write_dataset_folder
from tests.made import pin, store

REPLIES = {
    ("fruit", "aware"): reply(
        ("判断它属于哪一类。", ["名称"], "类别"), ("根据样子说出名称。", ["样子", "类别"], "名称")
    ),
    ("fruit", "unaware"): reply(("判断它属于哪一类。", ["名称"], "类别"), ("说说它的样子。", ["名称"], "样子")),
    ("birds", "unaware"): reply(("Say what the bird looks like.", ["name"], "look")),
}
BIRDS = [{"name": f"bird {number}", "look": f"It has {number} white feathers."} for number in range(5)]


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path) -> Project:
    """Two datasets, one with a summary; the second came in step 2."""
    write_dataset_folder(tmp_path, "fruit")
    write_dataset_folder(
        tmp_path, "birds", BIRDS, card="---\nlicense: cc-by-4.0\nlanguage: en\nhomepage: https://example.org\n---\n"
    )
    (tmp_path / "data/datasets/steps.yaml").write_text("- [fruit]\n- [birds]\n")
    project = Project(tmp_path)
    pin(project, tiny_base)
    datasets(project, params())
    return project


@pytest.fixture
def answered(project: Project) -> Project:
    """With a reply for each prompt."""
    write_replies(project, REPLIES)
    return project


def write_replies(project: Project, replies: dict[tuple[str, str], str], finish: str = "stop") -> None:
    """data/dynosaur/proposals."""
    rows = [
        {"id": text_id(f"{source}\n{variant}"), "source": source, "variant": variant, "reply": text, "finish": finish}
        | {"n_prompt": 9, "n_new": 9}
        for (source, variant), text in replies.items()
    ]
    store(project, "dynosaur/proposals", pl.DataFrame(rows))
