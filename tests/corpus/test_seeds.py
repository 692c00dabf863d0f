import json
from pathlib import Path
from typing import Any

import pytest

from kun.corpus.evals import EvalGrams, load_evals
from kun.corpus.seeds import seeds
from kun.corpus.text import text_id
from kun.errors import InputError
from kun.params import Params
from kun.project import Project
from kun.tables.shards import read_dataset

from .conftest import changed, count_chars, reasons

DATA = Path(__file__).parents[2] / "data"


def pair(number: int, **values: Any) -> dict[str, Any]:
    return {"instruction": f"请介绍第{number}条河流。", "input": "", "output": f"第{number}条河流很长。"} | values


def put(project: Project, *records: object) -> None:
    folder = project.root / "data" / "seed"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
    (folder / "s.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "README.md").write_text("not data")


GOOD = [pair(number) for number in range(40)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"instruction": "请介绍长江。"}, "missing_output"),
        (pair(0, output=None), "missing_output"),
        (pair(0, output=" \u200b"), "empty_output"),
        (pair(0, output=5), "wrong_type"),
        (pair(0, input=["a"]), "wrong_type"),
        ({"output": "长江很长。"}, "missing_instruction"),
        (pair(0, instruction=""), "empty_instruction"),
        (pair(0, instruction="河"), "short_instruction"),
        (pair(0, output="长" * 800), "too_long"),
        (pair(1, instruction="请介绍第１条河流。"), "duplicate_id"),
        (pair(0, input="光合作用的光反应和暗反应分别发生在哪里"), "contaminated"),
        ('{"instruction": ', "malformed_json"),
        ("[]", "not_an_object"),
    ],
)
def test_bad_pairs_have_their_reason(project: Project, params: Params, record: object, reason: str) -> None:
    put(project, *GOOD, record)
    grams = EvalGrams([("e1", "光合作用的光反应和暗反应分别发生在哪里")], 13)
    counts = seeds(project, params.seeds, grams, count_chars)
    assert list(reasons(project, "seeds").values()) == [reason]
    assert (counts["rows_in"], counts["kept"]) == (41, 40)


def test_null_input_and_other_field_names(project: Project, params: Params) -> None:
    put(project, *[{"question": f"第{n}条河在哪里？", "input": None, "answer": f"在第{n}个山谷。"} for n in range(20)])
    fields = {"instruction": ["instruction", "question"], "input": ["input"], "output": ["output", "answer"]}
    seeds(project, changed(params.seeds, fields=fields), None, count_chars)
    row = read_dataset(project.dataset("seeds")).row(0, named=True)
    assert row["id"] == text_id("第0条河在哪里？\n\n在第0个山谷。")
    assert (row["input"], row["source"], row["origin"]) == ("", "s", "s.jsonl:1")


def test_split_is_stable_under_additions(project: Project, params: Params) -> None:
    def split(records: list[dict[str, Any]]) -> dict[str, str]:
        put(project, *records)
        seeds(project, changed(params.seeds, heldout=0.3), None, count_chars)
        return dict(read_dataset(project.dataset("seeds")).select("id", "split").iter_rows())

    before = split(GOOD)
    after = split([pair(n) for n in range(100, 1100)] + GOOD[::-1])
    assert before.items() <= after.items()
    assert 0.25 < list(after.values()).count("heldout") / len(after) < 0.35


def test_limit_is_a_nested_sample_with_reasons(project: Project, params: Params) -> None:
    put(project, *GOOD)
    small = changed(params.seeds, limit=20)
    counts = seeds(project, small, None, count_chars)
    assert (counts["kept"], counts["reasons"]) == (20, {"limit": 20})
    few = set(read_dataset(project.dataset("seeds"))["id"])
    seeds(project, changed(small, limit=30), None, count_chars)
    assert few < set(read_dataset(project.dataset("seeds"))["id"])


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"a": 1}] * 3, r"0 of 3 seed pairs .* most often rejected as `missing_instruction` \(3\)"),
        ([pair(n) for n in range(5)], r"at least 8 are needed; add pairs"),
    ],
)
def test_too_few_pairs_are_an_error(project: Project, params: Params, records: list[object], message: str) -> None:
    put(project, *records)
    with pytest.raises(InputError, match=message):
        seeds(project, params.seeds, None, count_chars)


def test_missing_folder_is_an_error(project: Project, params: Params) -> None:
    with pytest.raises(InputError, match=r"holds no file of records"):
        seeds(project, params.seeds, None, count_chars)


@pytest.mark.parametrize("count", [127, 128, 129, 1000])
def test_conservation(project: Project, params: Params, count: int) -> None:
    put(project, *[pair(number, output="" if number % 5 == 0 else "很长。") for number in range(count)])
    counts = seeds(project, params.seeds, None, count_chars)
    assert counts["rows_in"] == counts["kept"] + counts["dropped"] == count
    assert counts["train"] + counts["heldout"] == counts["kept"]


def test_sample_data(project: Project, params: Params) -> None:
    grams = load_evals(DATA / "eval", params.decontaminate.fields, params.decontaminate.ngram)
    counts = seeds(project, changed(params.seeds, path=str(DATA / "seed" / "extra.jsonl")), grams, count_chars)
    assert reasons(project, "seeds") == {"extra.jsonl:13": "missing_output", "extra.jsonl:14": "empty_output"}
    assert counts["kept"] == 12
