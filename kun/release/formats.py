"""Pairs in the shapes that trainers read: messages (parquet and jsonl), alpaca, sharegpt, and LLaMA-Factory's index."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from kun.params import Release
from kun.tables.shards import write_json

Row = dict[str, Any]

PROVENANCE = ("id", "source", "method", "licence")
MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
RECORDS_IN_MEMORY = 10_000


def write_formats(pairs: pl.DataFrame, folder: Path, params: Release) -> int:
    """Write every format into `folder` (made if missing), rows in the order of `pairs`; returns the number of shards.

    The user's message is the instruction and, when there is one, the input on the next line.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = pairs.with_columns(pl.col("input").fill_null(""))
    shards = _write_parquet(pairs, folder / "data", params.shard_rows)
    for name, record in {"messages": messages_record, "alpaca": alpaca_record, "sharegpt": sharegpt_record}.items():
        _write_lines(pairs, folder / f"{name}.jsonl", record)
    write_json(folder / "dataset_info.json", dataset_info(params.name))
    return shards


def messages_record(pair: Row) -> Row:
    """The canonical record: what was said, and where it comes from."""
    messages = [{"role": "user", "content": user_message(pair)}, {"role": "assistant", "content": pair["output"]}]
    return {"messages": messages} | {name: pair[name] for name in PROVENANCE}


def alpaca_record(pair: Row) -> Row:
    """`input` is "" when there is none: trainers join null as the word None."""
    return {name: pair[name] for name in ("instruction", "input", "output", "id", "source")}


def sharegpt_record(pair: Row) -> Row:
    """One turn each of human and gpt."""
    turns = [{"from": "human", "value": user_message(pair)}, {"from": "gpt", "value": pair["output"]}]
    return {"conversations": turns, "id": pair["id"], "source": pair["source"]}


def user_message(pair: Row) -> str:
    """Instruction and input as LLaMA-Factory joins them, so that all formats train the same text."""
    return f"{pair['instruction']}\n{pair['input']}" if pair["input"] else pair["instruction"]


def dataset_info(name: str) -> dict[str, Any]:
    """The `dataset_info.json` of LLaMA-Factory, where a key missing in `columns` or `tags` has no default."""
    other_tags = {"observation_tag": "observation", "function_tag": "function_call", "system_tag": "system"}
    openai = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    sharegpt = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
    return {
        name: {
            "file_name": "messages.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": openai | other_tags,
        },
        f"{name}-alpaca": {
            "file_name": "alpaca.jsonl",
            "formatting": "alpaca",
            "columns": {"prompt": "instruction", "query": "input", "response": "output"},
        },
        f"{name}-sharegpt": {
            "file_name": "sharegpt.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations"},
            "tags": sharegpt | other_tags,
        },
    }


def _write_parquet(pairs: pl.DataFrame, folder: Path, shard_rows: int) -> int:
    """Shards of at most `shard_rows` rows, named as the hub names them; returns their number."""
    folder.mkdir(exist_ok=True)
    shards = max(1, -(-pairs.height // shard_rows))
    schema = {"messages": MESSAGES} | {name: pl.String for name in PROVENANCE}
    for number in range(shards):
        rows = pairs.slice(number * shard_rows, shard_rows).iter_rows(named=True)
        frame = pl.DataFrame([messages_record(row) for row in rows], schema=schema)
        frame.write_parquet(folder / f"train-{number:05d}-of-{shards:05d}.parquet", compression="zstd")
    return shards


def _write_lines(pairs: pl.DataFrame, path: Path, record: Callable[[Row], Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for piece in pairs.iter_slices(RECORDS_IN_MEMORY):
            for pair in piece.iter_rows(named=True):
                file.write(json.dumps(record(pair), ensure_ascii=False) + "\n")
