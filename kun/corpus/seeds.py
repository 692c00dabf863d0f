"""Instruction pairs written by people -> data/seeds: checked, and split into training and held-out pairs."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from kun.corpus.evals import EvalGrams
from kun.corpus.files import raw_files, source_of
from kun.corpus.items import Reject, printable
from kun.corpus.readers import has_fields, objects
from kun.corpus.text import normalise, text_id, unit_hash
from kun.errors import InputError
from kun.params import Seeds
from kun.project import Project
from kun.schemas.pairs import SEED
from kun.schemas.schema import Schema
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, split_by_rules

STAGE = "seeds"

MIN_TRAIN = 8
"""Training pairs below which a fine-tuning run says nothing."""

_TEXTS = ("instruction", "input", "output")


def seeds(
    project: Project, params: Seeds, evals: EvalGrams | None, count_tokens: Callable[[list[str]], list[int]]
) -> dict[str, Any]:
    """Read seed pairs; returns the counts. `evals` keeps evaluation items out, `count_tokens` measures a whole pair.

    The id is that of instruction, input and output joined by line breaks. Raises InputError when the files are missing
    or fewer than MIN_TRAIN pairs are left to train on.
    """
    found = list(_read(project.root / params.path, params))
    pairs = pl.DataFrame([item for item in found if isinstance(item, dict)], schema=_schema())
    unusable = _ledger([item for item in found if isinstance(item, Reject)])
    marked = pairs.with_columns(
        first=pl.col("origin").first().over("id"),
        n_tokens=pl.Series(count_tokens(pairs["id_text"].to_list()), dtype=pl.Int64),
        overlap=pl.Series([_overlap(evals, row) for row in pairs.select(_TEXTS).iter_rows()], dtype=pl.String),
    )
    passed = split_by_rules(marked, rules(params))
    sampled = split_by_rules(_with_rank(passed.kept, params), {"limit": _limit(params)})
    kept = sampled.kept.with_columns(split=_split(sampled.kept["id"], params))
    n_train = kept.filter(pl.col("split") == "train").height
    if n_train < MIN_TRAIN:
        raise InputError(
            f"{project.root / params.path}: {n_train} of {len(found)} seed pairs are left for training, at least "
            f"{MIN_TRAIN} are needed; {_advice(pl.concat([unusable, _dropped(passed.dropped)]))}"
        )
    ledger = [unusable, _dropped(passed.dropped), _dropped(sampled.dropped)]
    return close_stage(project, STAGE, "seeds", len(found), kept, ledger, train=n_train, heldout=kept.height - n_train)


def rules(params: Seeds) -> dict[str, Rule]:
    """Rules on a pair that was read; `n_tokens`, `overlap` and `first` (origin of the first with this id) are given."""
    n_chars = pl.col("instruction").str.len_chars()
    return {
        "short_instruction": Rule(n_chars >= params.min_instruction, n_chars, f">= {params.min_instruction}"),
        "too_long": Rule(pl.col("n_tokens") <= params.max_tokens, pl.col("n_tokens"), f"<= {params.max_tokens}"),
        "duplicate_id": Rule(pl.col("first") == pl.col("origin"), pl.col("first")),
        "contaminated": Rule(pl.col("overlap").is_null(), pl.col("overlap")),
    }


def _read(place: Path, params: Seeds) -> Iterator[dict[str, str] | Reject]:
    """A row or a reject for each record of the files at `place`; files without named fields are passed over."""
    files = [place] if place.is_file() else raw_files(place)
    files = [path for path in files if has_fields(path)]
    if not files:
        raise InputError(
            f"{place} holds no file of records (.jsonl, .csv, ...); put seed pairs there or set seeds.path in params.yaml"
        )
    for path in files:
        name = path.name if path == place else path.relative_to(place).as_posix()
        for item in objects(path, name):
            yield item if isinstance(item, Reject) else _pair(*item, params.fields)


def _pair(origin: str, record: dict[str, Any], names: dict[str, list[str]]) -> dict[str, str] | Reject:
    """Our columns from a record, normalised; `input` may be absent, null or empty, the other two may not."""
    pair: dict[str, str] = {}
    excerpt = normalise(str(record))[:200]
    for column in _TEXTS:
        name = next((name for name in names.get(column, [column]) if name in record), None)
        value = "" if name is None else record[name]
        optional = column == "input"
        if not optional and (name is None or value is None):
            return Reject(origin, f"missing_{column}", printable(f"fields: {', '.join(record)}"), excerpt)
        if not isinstance(value, str) and not (optional and value is None):
            return Reject(origin, "wrong_type", f"{name}: {type(value).__name__}", excerpt)
        pair[column] = normalise(value or "")
        if not optional and not pair[column]:
            return Reject(origin, f"empty_{column}", str(name), excerpt)
    whole = "\n".join(pair[column] for column in _TEXTS)
    return pair | {"id": text_id(whole), "id_text": whole, "source": _source(origin), "origin": origin}


def _source(origin: str) -> str:
    """Of "file:line", or of a file that could not be read at all."""
    return source_of(re.sub(r":\d+$", "", origin))


def _overlap(evals: EvalGrams | None, texts: tuple[str, ...]) -> str | None:
    return next(filter(None, map(evals.quote, texts)), None) if evals else None


def _with_rank(pairs: pl.DataFrame, params: Seeds) -> pl.DataFrame:
    """`rank` of a pair by its hash: the sample of a larger limit contains that of a smaller one."""
    keys = pl.Series([unit_hash("limit", params.seed, key) for key in pairs["id"]], dtype=pl.Float64)
    return pairs.with_columns(rank=keys.rank("ordinal"))


def _limit(params: Seeds) -> Rule:
    inside = pl.lit(not params.limit) | (pl.col("rank") <= params.limit)
    return Rule(inside, pl.col("rank"), f"seeded sample of {params.limit}")


def _split(ids: pl.Series, params: Seeds) -> pl.Series:
    """Held out by the hash of each id alone: a new seed moves no other, so the share is met only on average."""
    heldout = [unit_hash("split", params.seed, key) < params.heldout for key in ids]
    return pl.Series(["heldout" if out else "train" for out in heldout], dtype=pl.String)


def _dropped(pairs: pl.DataFrame) -> pl.DataFrame:
    return rejects(
        pairs.with_columns(id=pl.when(pl.col("first") == pl.col("origin")).then("id").otherwise("origin")),
        STAGE,
        excerpt="id_text",
    )


def _ledger(items: list[Reject]) -> pl.DataFrame:
    rows = [(item.origin, item.reason, item.value, "", item.excerpt, _source(item.origin)) for item in items]
    columns = ["id", "reason", "value", "threshold", "text", "source"]
    return rejects(pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row"), STAGE)


def _advice(ledger: pl.DataFrame) -> str:
    if ledger.is_empty():
        return "add pairs or lower seeds.heldout"
    reason, count = ledger["reason"].value_counts(sort=True).row(0)
    return f"most often rejected as `{reason}` ({count}); check seeds.fields and seeds.max_tokens"


def _schema() -> Schema:
    return {name: SEED[name] for name in SEED if name != "split"} | {"id_text": pl.String}
