"""Pairs with losses, for tests of what is chosen among them."""

from typing import Any

import polars as pl

from kun.corpus.evals import EvalGrams
from kun.corpus.text import text_id
from kun.schemas.pairs import PAIR
from kun.schemas.select import LOSSES
from tests.made import seed_pairs


def not_asked() -> EvalGrams:
    """Where nothing was edited."""
    raise AssertionError("evaluation sets are read for edits alone")


def pairs(count: int, source: str = "made") -> pl.DataFrame:
    """Pairs of the seeds, in the PAIR schema; ids are hashes of the row number."""
    rows = seed_pairs(count)
    return pl.DataFrame(
        {
            "id": [text_id(str(number)) for number in range(count)],
            "instruction": [instruction for instruction, _ in rows],
            "input": "",
            "output": [output for _, output in rows],
            "source": source,
            "method": "kun",
            "licence": "CC0-1.0",
            "p_good": [(number % 10) / 10 for number in range(count)],
            "copy_rate": 0.1,
            "support": 0.8,
        },
        schema=PAIR,
    )


def losses(rows: pl.DataFrame, cond: list[float | None], direct: float = 2.0, **values: Any) -> pl.DataFrame:
    """A loss for each row behind its prompt (None: no score), in the LOSSES schema."""
    table: dict[str, Any] = {
        "id": rows["id"],
        "n_answer": [0 if one is None else 20 for one in cond],
        "s_cond": cond,
        "s_direct": [None if one is None else direct for one in cond],
        "truncated": False,
        "reason": ["prompt_too_long" if one is None else "ok" for one in cond],
        "template": "plain",
        "scorer": "tiny",
    }
    empty = {name: pl.Series([None] * rows.height, dtype=dtype) for name, dtype in LOSSES.items()}
    return pl.DataFrame(empty | table | values, schema=LOSSES)
