"""Instruction datasets of others, as files: alpaca, sharegpt and messages in json, jsonl or parquet, and back unchanged."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from kun.corpus.items import Reject
from kun.corpus.readers import objects
from kun.corpus.text import text_id
from kun.errors import InputError
from kun.tables.shards import place_beside, write_text

SUFFIXES = (".json", ".jsonl", ".ndjson", ".parquet")
ASKS, ANSWERS = ("user", "human"), ("assistant", "gpt")
TURNS = {"conversations": ("from", "value"), "messages": ("role", "content")}
"""Field of the turns -> the keys of who speaks and of what is said."""

Record = Mapping[str, Any]

_TEXTS = ("instruction", "input", "output")


def check_suffixes(source: Path, target: Path) -> None:
    """InputError unless both files are of one format that is known."""
    if source.suffix not in SUFFIXES:
        raise InputError(f"{source}: not one of {', '.join(SUFFIXES)}")
    if target.suffix != source.suffix:
        raise InputError(f"{target}: rows are written as they were read; give it the suffix {source.suffix}")


def read_pairs(path: Path) -> tuple[list[Record], pl.DataFrame]:
    """The records of a file, and of each its pair: row (from 0), id (of the texts), instruction, input, output.

    Of a conversation its first question and answer. Raises InputError for the first record that is none of these.
    """
    if not path.is_file():
        raise InputError(f"{path} not found")
    records: list[Record] = []
    pairs = []
    for row, item in enumerate(objects(path, path.name)):
        if isinstance(item, Reject):
            raise InputError(f"{item.origin}: {item.reason} ({item.value})")
        origin, record = item
        texts = pair_of(record, origin)
        records.append(record)
        pairs.append({"row": row, "id": text_id("\n".join(texts)), **dict(zip(_TEXTS, texts, strict=True))})
    if not records:
        raise InputError(f"{path} holds no records")
    return records, pl.DataFrame(pairs, schema={"row": pl.Int64} | dict.fromkeys(("id", *_TEXTS), pl.String))


def pair_of(record: Record, origin: str) -> tuple[str, str, str]:
    """Instruction, input and output of a record, "" where it has none; InputError names what is wrong at `origin`."""
    turns = next((name for name in TURNS if name in record), None)
    if turns is None and not {"instruction", "output"} <= record.keys():
        raise InputError(
            f"{origin}: neither instruction and output, nor conversations, nor messages; its fields: {', '.join(record)}"
        )
    named = record if turns is None else _first_exchange(record[turns], *TURNS[turns], origin)
    texts = [named.get(name) for name in _TEXTS]
    for name, text in zip(_TEXTS, texts, strict=True):
        if text is not None and not isinstance(text, str):
            raise InputError(f"{origin}: {name} is of type {type(text).__name__}, but must be text")
    instruction, given, output = (text or "" for text in texts)
    return instruction, given, output


def write_rows(source: Path, target: Path, records: Sequence[Record], rows: Sequence[int]) -> None:
    """Write some records of `source` as they are, with all their fields, in the order of `rows`; whole or not at all."""
    if source.suffix == ".parquet":
        _write_parquet(source, target, rows)
        return
    chosen = [records[row] for row in rows]
    if source.suffix == ".json" and _is_array(source):
        write_text(target, json.dumps(chosen, ensure_ascii=False, indent=2) + "\n")
    else:
        write_text(target, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in chosen))


def _first_exchange(turns: Any, who: str, what: str, origin: str) -> dict[str, Any]:
    """The first question and the first answer behind it."""
    if not isinstance(turns, list) or not all(
        isinstance(turn, dict) and who in turn and what in turn for turn in turns
    ):
        raise InputError(f"{origin}: its turns must be a list of objects with {who} and {what}")
    asked = next((place for place, turn in enumerate(turns) if turn[who] in ASKS), len(turns))
    question = turns[asked][what] if asked < len(turns) else ""
    return {
        "instruction": question,
        "output": next((turn[what] for turn in turns[asked:] if turn[who] in ANSWERS), ""),
    }


def _write_parquet(source: Path, target: Path, rows: Sequence[int]) -> None:
    import pyarrow
    from pyarrow import parquet

    places = pyarrow.array(rows, pyarrow.int64())
    building = place_beside(target)
    try:
        parquet.write_table(parquet.read_table(source).take(places), building, compression="zstd")
        building.replace(target)
    finally:
        building.unlink(missing_ok=True)


def _is_array(path: Path) -> bool:
    """Some files of the suffix .json hold lines."""
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
