"""Folders of datasets for the tests: a card and tables, as a user would put them."""

import json
from pathlib import Path
from typing import Any

from tests.made import PARAMS, changed

DYNOSAUR = PARAMS.dynosaur
CARD = """---
license: {licence}
language: {language}
---

# {name}

## 数据集摘要

{summary}
"""
FRUIT = [
    ("苹果", "红色，脆甜", "水果"),
    ("白菜", "绿叶，可炒可煮", "蔬菜"),
    ("梨", "黄色，多汁", "水果"),
    ("萝卜", "白色，微辣", "蔬菜"),
    ("桃", "粉色，有绒毛", "水果"),
    ("茄子", "紫色，软糯", "蔬菜"),
]


def params(**values: Any) -> Any:
    """The section of params.yaml with other values."""
    return changed(DYNOSAUR, **values)


def write_dataset_folder(
    root: Path,
    name: str,
    rows: list[dict[str, Any]] | None = None,
    card: str | None = None,
    licence: str = "cc0-1.0",
    language: str = "zh",
    summary: str = "常见蔬果的名称、样子和类别。",
) -> Path:
    """data/datasets/<name> with a card and rows.jsonl; `card` replaces the whole card, "" leaves it out."""
    folder = root / "data/datasets" / name
    folder.mkdir(parents=True)
    text = CARD.format(name=name, licence=licence, language=language, summary=summary) if card is None else card
    if text:
        (folder / "README.md").write_text(text, encoding="utf-8")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in (fruit_rows() if rows is None else rows)]
    (folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def fruit_rows() -> list[dict[str, Any]]:
    """Two balanced kinds, an identifier, and a name and a description that differ in each row."""
    return [{"id": number, "名称": name, "样子": look, "类别": kind} for number, (name, look, kind) in enumerate(FRUIT)]


def reply(*tasks: tuple[str, list[str], str]) -> str:
    """What a model answers: (instruction, input fields, output field) each."""
    return json.dumps(
        {
            f"task{number}": {"instruction": instruction, "input_fields": inputs, "output_field": output}
            for number, (instruction, inputs, output) in enumerate(tasks, 1)
        },
        ensure_ascii=False,
    )
