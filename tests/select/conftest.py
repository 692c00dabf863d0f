"""Tiny models of three kinds, a model of constant logits and one that learned to repeat; pairs for them."""

from pathlib import Path

import polars as pl
import pytest

from kun.project import Project
from kun.schemas.pairs import PAIR
from tests.made import pinned, seed_pairs

WORDS = "春夏秋冬东西南北"


def pair_table(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """(instruction, input, output) in the PAIR schema."""
    return pl.DataFrame(
        [
            {"id": f"{number:032x}", "instruction": instruction, "input": given, "output": output}
            | {"source": "made", "method": "kun", "licence": "CC0-1.0", "p_good": 0.9, "copy_rate": 0.1, "support": 0.5}
            for number, (instruction, given, output) in enumerate(rows)
        ],
        schema=PAIR,
    )


def real_pairs(count: int) -> pl.DataFrame:
    """Pairs of mixed lengths, every third with an input."""
    pairs = seed_pairs(count, 1000)
    return pair_table(
        *(
            (instruction, output[:9] if number % 3 == 0 else "", output[: 5 + 13 * (number % 7)])
            for number, (instruction, output) in enumerate(pairs)
        )
    )


def swapped(pairs: pl.DataFrame) -> pl.DataFrame:
    """The same pairs, each with the answer of the next."""
    return pairs.with_columns(pl.Series("output", [*pairs["output"][1:], pairs["output"][0]]))


@pytest.fixture(scope="session")
def bases(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from tests.tiny import make_constant_model, make_parrot, make_random_model

    folder = tmp_path_factory.mktemp("scorers")
    return {
        "llama": tiny_base,
        "gpt2": make_random_model(folder / "gpt2", "gpt2", tiny_base),
        "gemma": make_random_model(folder / "gemma", "gemma", tiny_base),
        "constant": make_constant_model(folder / "constant", tiny_base),
        "parrot": make_parrot(folder / "parrot", tiny_base, WORDS),
    }


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path) -> Project:
    return pinned(tmp_path, tiny_base)
