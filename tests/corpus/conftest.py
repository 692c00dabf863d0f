"""Small projects and parameters for the corpus stages."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kun.config import load_params
from kun.corpus.text import text_id
from kun.params import Params
from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.schemas.datasets import DATASETS
from kun.schemas.schema import conform
from kun.tables.shards import read_dataset, write_dataset

REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "data" / "raw"
PARAMS = load_params(REPOSITORY / "params.yaml")

SENTENCE = (
    "河水从山谷里流出来，绕过村口的老槐树，慢慢汇入宽阔的湖面；"
    "傍晚渔船靠岸，岸边的灯一盏接一盏亮起来，孩子们追着风筝跑远了。"
)
"""A text that passes every rule."""


COMMON = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多"
    "定行学法所民得经"
)


def random_text(source: random.Random, length: int) -> str:
    return "".join(source.choices(COMMON, k=length))


def edited(source: random.Random, text: str, edits: int) -> str:
    """`text` with so many characters, at places of their own, replaced by such as it has not."""
    characters = list(text)
    for place in source.sample(range(len(text)), edits):
        characters[place] = source.choice("甲乙丙丁戊己庚辛")
    return "".join(characters)


@pytest.fixture
def params() -> Params:
    return PARAMS


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "data" / "unsafe").mkdir(parents=True)
    return Project(tmp_path)


def changed(section: Any, **values: Any) -> Any:
    """A section of the parameters with other values."""
    return replace(section, **values)


def count_chars(texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


def store(project: Project, dataset: str, texts: list[str]) -> None:
    """Write `texts` as a dataset in the TEXT or CLEAN schema; ids are numbered, so equal texts may meet."""
    frame = pl.DataFrame(
        {
            "id": [text_id(f"{number}") for number in range(len(texts))],
            "text": texts,
            "source": "made",
            "origin": [f"made.txt:{number + 1}" for number in range(len(texts))],
            "title": "",
            "lang": "zh",
            "n_chars": [len(text) for text in texts],
            "n_tokens": [len(text) for text in texts],
        },
        schema=CLEAN,
    )
    write_dataset(project.dataset(dataset), conform(frame, DATASETS[dataset]), DATASETS[dataset])


def reasons(project: Project, stage: str) -> dict[str, str]:
    """Id of each rejected row -> reason."""
    ledger = read_dataset(project.rejects(stage))
    return dict(ledger.select("id", "reason").iter_rows())


def various(count: int) -> list[str]:
    """Good texts that resemble each other little."""
    characters = "春夏秋冬山水云雨花鸟鱼虫日月星辰江河湖海松竹梅兰琴棋书画东西南北"
    texts = []
    for number in range(count):
        digits = [(number * 7 + place * (number % 29 + 3) + place * place) % len(characters) for place in range(90)]
        body = "".join(characters[digit] for digit in digits)
        marks = "".join(characters[int(digit) + 5] for digit in f"{number:05d}")
        texts.append(f"{marks}{body[:40]}，{body[40:70]}，{body[70:]}。")
    return texts
