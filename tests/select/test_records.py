import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.errors import InputError
from kun.select.records import check_suffixes, pair_of, read_pairs, write_rows

ALPACA = {"instruction": "翻译", "input": "good", "output": "好", "id": 7, "tags": ["a"]}
CHATS = [
    {
        "conversations": [
            {"from": who, "value": what} for who, what in (("human", "问"), ("gpt", "答"), ("human", "再问"))
        ]
    },
    {
        "messages": [
            {"role": who, "content": what} for who, what in (("system", "规"), ("user", "问"), ("assistant", "答"))
        ]
    },
]


def test_the_pair_of_each_shape() -> None:
    assert pair_of(ALPACA, "f:1") == ("翻译", "good", "好")
    assert pair_of({"instruction": "问", "input": None, "output": None}, "f:1") == ("问", "", "")
    assert [pair_of(chat, "f:1") for chat in CHATS] == [("问", "", "答")] * 2


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([], ("", "", "")),
        ([("gpt", "先说"), ("human", "问")], ("问", "", "")),  # an answer before any question is none
        ([("gpt", "先说"), ("human", "问"), ("gpt", "答"), ("gpt", "又答")], ("问", "", "答")),
        ([("user", "问"), ("assistant", "答")], ("问", "", "答")),
        ([("human", "问"), ("observation", "3"), ("gpt", "答")], ("问", "", "答")),
    ],
)
def test_the_first_exchange_of_a_conversation(turns: list[tuple[str, str]], expected: tuple[str, str, str]) -> None:
    record = {"conversations": [{"from": who, "value": what} for who, what in turns]}
    assert pair_of(record, "f:1") == expected


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"text": "a", "n": 1},
            "f:3: neither instruction and output, nor conversations, nor messages; its fields: text, n",
        ),
        ({"instruction": "a", "output": 5}, "f:3: output is of type int, but must be text"),
        ({"messages": "a"}, "f:3: its turns must be a list of objects with role and content"),
        ({"messages": [{"role": "user"}]}, "f:3: its turns must be a list"),
        ({"messages": [{"role": "user", "content": [1]}]}, "f:3: instruction is of type list"),
    ],
)
def test_what_is_no_pair_is_named_with_its_place(record: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        pair_of(record, "f:3")
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


KEYS = st.sampled_from(["from", "value", "role", "content", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["instruction", "input", "output", "messages", "conversations"]), JSON))
def test_any_record_is_a_pair_or_a_clear_mistake(record: dict[str, Any]) -> None:
    try:
        assert all(isinstance(text, str) for text in pair_of(record, "f:1"))
    except InputError as error:
        assert str(error).startswith("f:1: ")


def written(path: Path, records: list[dict]) -> Path:
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    if path.suffix == ".parquet":
        pl.DataFrame(records).write_parquet(path)
    else:
        path.write_text(f"[{','.join(lines)}]" if path.suffix == ".json" else "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
@pytest.mark.parametrize("records", [[ALPACA | {"id": n} for n in range(4)], [CHATS[0] | {"n": n} for n in range(4)]])
def test_rows_come_back_as_they_were(tmp_path: Path, suffix: str, records: list[dict]) -> None:
    source = written(tmp_path / f"in{suffix}", records)
    read, pairs = read_pairs(source)
    assert read == records and pairs["row"].to_list() == [0, 1, 2, 3]
    write_rows(source, tmp_path / f"out{suffix}", read, [3, 1])
    assert read_pairs(tmp_path / f"out{suffix}")[0] == [records[3], records[1]]
    write_rows(source, tmp_path / f"none{suffix}", read, [])
    assert (tmp_path / f"none{suffix}").is_file()


def test_a_json_file_of_lines_stays_one(tmp_path: Path) -> None:
    source = tmp_path / "a.json"
    source.write_text(json.dumps(ALPACA) + "\n")
    write_rows(source, tmp_path / "b.json", read_pairs(source)[0], [0])
    assert (tmp_path / "b.json").read_text(encoding="utf-8") == json.dumps(ALPACA, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[{]", "a.json:1: malformed_json"),
        ("[1]", "a.json:1: not_an_object (int)"),
        ("[]", "holds no records"),
        ("", "holds no"),
    ],
)
def test_unreadable_files_are_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError) as caught:
        read_pairs(tmp_path / "a.json")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_files_of_other_kinds_are_refused() -> None:
    with pytest.raises(InputError, match=r"a\.txt: not one of"):
        check_suffixes(Path("a.txt"), Path("b.txt"))
    with pytest.raises(InputError, match=r"give it the suffix \.json$"):
        check_suffixes(Path("a.json"), Path("b.jsonl"))
    with pytest.raises(InputError, match="not found"):
        read_pairs(Path("gone.json"))
