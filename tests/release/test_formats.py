import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from kun.params import Params
from kun.release.formats import dataset_info, write_formats

PROMPTS = ["什么是驿站？", "翻译下面的句子\n山高水长", "疫苗为什么有效？"]
ANSWERS = ["驿站是古代传递公文的处所。", "高山\n流水“长存”。", "它让身体认识病原体了。"]
IDS = ["c3", "a1", "b2"]


@pytest.fixture
def folder(tmp_path: Path, pairs: pl.DataFrame, params: Params) -> Path:
    assert write_formats(pairs, tmp_path / "out", params.release) == 2
    return tmp_path / "out"


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_parquet_shards_hold_messages_in_order(folder: Path) -> None:
    shards = sorted((folder / "data").iterdir())
    assert [shard.name for shard in shards] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    assert [pl.read_parquet(shard).height for shard in shards] == [2, 1]
    frame = pl.read_parquet(shards)
    assert frame.columns == ["messages", "id", "source", "method", "licence"]
    assert frame.schema["messages"] == pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    assert frame.to_dicts() == lines(folder / "messages.jsonl")


def test_messages_join_instruction_and_input(folder: Path) -> None:
    rows = lines(folder / "messages.jsonl")
    assert [row["id"] for row in rows] == IDS
    assert [[turn["role"] for turn in row["messages"]] for row in rows] == [["user", "assistant"]] * 3
    assert [row["messages"][0]["content"] for row in rows] == PROMPTS
    assert [row["messages"][1]["content"] for row in rows] == ANSWERS
    assert {row["licence"] for row in rows} == {"CC0-1.0"}


def test_alpaca_has_an_empty_input_not_null(folder: Path) -> None:
    rows = lines(folder / "alpaca.jsonl")
    assert [list(row) for row in rows] == [["instruction", "input", "output", "id", "source"]] * 3
    assert [row["input"] for row in rows] == ["", "山高水长", ""]
    assert ["\n".join(filter(None, (row["instruction"], row["input"]))) for row in rows] == PROMPTS
    assert [row["output"] for row in rows] == ANSWERS


def test_sharegpt_turns(folder: Path) -> None:
    rows = lines(folder / "sharegpt.jsonl")
    assert [[turn["from"] for turn in row["conversations"]] for row in rows] == [["human", "gpt"]] * 3
    assert [tuple(turn["value"] for turn in row["conversations"]) for row in rows] == list(
        zip(PROMPTS, ANSWERS, strict=True)
    )
    assert [(row["id"], row["source"]) for row in rows] == [("c3", "forum"), ("a1", "essays/tea"), ("b2", "forum")]


def test_chinese_is_not_escaped_and_lines_end_with_a_line_feed(folder: Path) -> None:
    for name in ("messages", "alpaca", "sharegpt"):
        written = (folder / f"{name}.jsonl").read_bytes()
        assert "什么是驿站？".encode() in written and b"\\u" not in written
        assert written.count(b"\n") == 3 and written.endswith(b"}\n") and b"\r" not in written


@pytest.mark.parametrize("key", ["kun-demo", "kun-demo-alpaca", "kun-demo-sharegpt"])
def test_llama_factory_finds_every_column_it_is_told_of(folder: Path, key: str) -> None:
    entry = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))[key]
    row = lines(folder / entry["file_name"])[0]
    assert set(entry["columns"].values()) <= set(row)
    if entry["formatting"] == "alpaca":
        assert set(entry["columns"]) == {"prompt", "query", "response"}
        return
    assert entry["formatting"] == "sharegpt" and set(entry["columns"]) == {"messages"}
    turns, tags = row[entry["columns"]["messages"]], entry["tags"]
    assert set(turns[0]) == {tags["role_tag"], tags["content_tag"]}
    assert [turn[tags["role_tag"]] for turn in turns] == [tags["user_tag"], tags["assistant_tag"]]
    assert {"system_tag", "observation_tag", "function_tag"} < set(tags)


def test_dataset_info_follows_the_name() -> None:
    assert list(dataset_info("x")) == ["x", "x-alpaca", "x-sharegpt"]


def test_a_second_run_gives_the_same_bytes(folder: Path, tmp_path: Path, pairs: pl.DataFrame, params: Params) -> None:
    write_formats(pairs, tmp_path / "again", params.release)
    for path in folder.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(folder)).read_bytes()


@pytest.mark.parametrize(("shard_rows", "shards"), [(1, 3), (3, 1), (4, 1)])
def test_no_row_is_lost_at_shard_edges(
    tmp_path: Path, pairs: pl.DataFrame, params: Params, shard_rows: int, shards: int
) -> None:
    assert write_formats(pairs, tmp_path, replace(params.release, shard_rows=shard_rows)) == shards
    assert pl.read_parquet(tmp_path / "data" / "*.parquet")["id"].to_list() == IDS
