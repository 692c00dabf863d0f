from pathlib import Path

import pytest

from kun.dynosaur import hub
from kun.dynosaur.sources import Source
from kun.errors import InputError
from tests.dynosaur.made_datasets import write_dataset_folder


def test_a_fetched_dataset_is_read_like_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_dataset_folder(tmp_path, "fruit")
    asked = []
    monkeypatch.setattr(hub, "fetch", lambda name, revision: asked.append((name, revision)) or folder)
    (source,) = hub.read_hub("owner/fruit@abc", 2)
    assert asked == [("owner/fruit", "abc")]
    assert isinstance(source, Source)
    assert (source.name, source.origin) == ("owner/fruit", "hub:owner/fruit@abc")
    assert source.website == "https://huggingface.co/datasets/owner/fruit"
    assert len(source.rows) == 2


@pytest.mark.parametrize("name", ["owner/none", "no such id!"])
def test_what_cannot_be_fetched_is_one_line(name: str) -> None:
    with pytest.raises(
        InputError, match=r"^dynosaur.hub: .* cannot be fetched \([^\n]+\); check the id and the network$"
    ):
        hub.fetch(name, "main")


def test_training_tables_come_first_and_test_data_never() -> None:
    files = ["README.md", "data/test-0.parquet", "data/validation-0.parquet"]
    assert hub.tables(files) == ["data/validation-0.parquet"]
    assert hub.tables([*files, "b/train-1.parquet", "b/train-0.parquet", "b/train-2.parquet"]) == [
        "b/train-0.parquet",
        "b/train-1.parquet",
    ]
    assert hub.tables(["a.csv", "image.png"]) == ["a.csv"]
    assert hub.tables(["README.md"]) == []
