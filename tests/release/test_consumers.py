"""A release as those read it who take it: Hugging Face datasets, LLaMA-Factory, TRL and axolotl."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jsonschema import Draft202012Validator

from kun.params import Params
from kun.project import Project
from kun.release.formats import dataset_info
from kun.release.release import release

NAME = {"type": "string", "minLength": 1}
COLUMNS = {
    "alpaca": ["prompt", "query", "response", "history", "system", "tools", "images", "videos", "audios"],
    "sharegpt": ["messages", "system", "tools", "images", "videos", "audios"],
}
TAGS = ["role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag"]


def entry(formatting: str, **more: Any) -> dict[str, Any]:
    """An entry of the index for supervised training from a local file. A key that LLaMA-Factory does not know is ignored
    there without a word, so none may be here."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["file_name", "formatting", "columns", *more],
        "properties": {
            "file_name": {"type": "string", "pattern": r"\.(json|jsonl|csv|parquet|arrow)$"},
            "formatting": {"const": formatting},
            "split": NAME,
            "num_samples": {"type": "integer", "minimum": 1},
            "columns": {
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "properties": dict.fromkeys(COLUMNS[formatting], NAME),
            },
            **more,
        },
    }


# As data/README.md of LLaMA-Factory documents the file and its data/parser.py reads it. Once `columns` or `tags` is there, a
# key that it lacks has no default: the parser sets it to None. So alpaca must name all three columns, sharegpt all seven tags.
WHOLE_TAGS = {
    "type": "object",
    "additionalProperties": False,
    "required": TAGS,
    "properties": dict.fromkeys(TAGS, NAME),
}
ALPACA = entry("alpaca")
ALPACA["properties"]["columns"]["required"] = ["prompt", "query", "response"]
SHAREGPT = entry("sharegpt", tags=WHOLE_TAGS)
SHAREGPT["properties"]["columns"]["required"] = ["messages"]
LLAMA_FACTORY = {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [ALPACA, SHAREGPT]}}


@pytest.fixture
def folder(project: Project, params: Params) -> Path:
    release(project, params)
    return project.dataset("release")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_index_is_what_llama_factory_documents(folder: Path) -> None:
    index = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    faults = [fault.message for fault in Draft202012Validator(LLAMA_FACTORY).iter_errors(index)]
    assert faults == []
    assert list(index) == ["kun-demo", "kun-demo-alpaca", "kun-demo-sharegpt"]


@pytest.mark.parametrize(
    "spoil",
    [
        {"format": "alpaca"},
        {"file_name": "data.txt"},
        {"formatting": "chatml"},
        {"columns": {"prompt": "instruction"}},
        {"columns": {"prompt": "instruction", "query": "input", "response": "output", "answer": "output"}},
    ],
)
def test_the_schema_sees_what_trainers_stumble_over(spoil: dict[str, Any]) -> None:
    good = dataset_info("tea")["tea-alpaca"]
    validator = Draft202012Validator(LLAMA_FACTORY)
    assert validator.is_valid({"tea": good})
    assert not validator.is_valid({"tea": good | spoil})


def test_llama_factory_finds_its_columns_in_every_row(folder: Path, pairs: pl.DataFrame) -> None:
    for told in json.loads((folder / "dataset_info.json").read_text(encoding="utf-8")).values():
        rows, columns = lines(folder / told["file_name"]), told["columns"]
        assert len(rows) == pairs.height
        for row in rows:
            if told["formatting"] == "alpaca":
                assert all(isinstance(row[name], str) for name in columns.values())
            else:
                tags = told["tags"]
                turns = row[columns["messages"]]
                assert [turn[tags["role_tag"]] for turn in turns] == [tags["user_tag"], tags["assistant_tag"]]
                assert all(turn[tags["content_tag"]] for turn in turns)


def test_trl_and_axolotl_find_conversations(folder: Path) -> None:
    """TRL: a column `messages` of {role, content}, user before assistant; axolotl: the same as jsonl, `field_messages`."""
    for row in [*pl.read_parquet(folder / "data/*.parquet").to_dicts(), *lines(folder / "messages.jsonl")]:
        assert [set(turn) for turn in row["messages"]] == [{"role", "content"}] * 2
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]


def test_datasets_loads_the_folder_and_its_lines(folder: Path, tmp_path: Path, pairs: pl.DataFrame) -> None:
    from datasets import load_dataset

    cache = str(tmp_path / "cache")
    messages = load_dataset(str(folder), split="train", cache_dir=cache)
    assert messages.column_names == ["messages", "id", "source", "method", "licence"]
    assert messages["id"] == pairs["id"].to_list()
    assert messages[0]["messages"][1] == {"role": "assistant", "content": pairs["output"][0]}
    for name in ("messages", "alpaca", "sharegpt"):
        rows = load_dataset("json", data_files=str(folder / f"{name}.jsonl"), split="train", cache_dir=cache)
        assert rows["id"] == pairs["id"].to_list()
