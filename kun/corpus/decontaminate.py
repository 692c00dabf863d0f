"""data/deduped -> data/decontaminated: nothing of an evaluation set may be trained on."""

from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import polars as pl

from kun.corpus.evals import EvalGrams, load_evals
from kun.corpus.files import raw_files
from kun.corpus.letters import bare_all
from kun.params import Decontaminate, Executor
from kun.project import Project
from kun.tables.ledger import close_shards, rejects
from kun.work.parts import PartWriter, code_key, compute_parts, file_key, shard_pieces, shards_of

STAGE = "decontaminate"


def decontaminate(project: Project, params: Decontaminate, executor: Executor = "processes") -> dict[str, Any]:
    """Drop texts that share a run of `ngram` characters with an evaluation item; returns the counts."""
    place = (project.root / params.path).resolve()
    files = [place] if place.is_file() else raw_files(place)
    content = tuple(f"{path.relative_to(place.parent)} {file_key(path)}" for path in files)
    settings = asdict(params) | {"code": code_key(), "evals": content}
    pieces = shard_pieces(project.dataset("deduped"))
    parts = compute_parts(project.scratch, STAGE, settings, pieces, partial(_check, place, params, content), executor)
    return close_shards(project, STAGE, "decontaminated", shards_of(parts), eval_items=parts[0].facts()["eval_items"])


def _check(place: Path, params: Decontaminate, content: tuple[str, ...], shard: Path, out: PartWriter) -> None:
    texts = pl.read_parquet(shard)
    evals = _loaded(place, tuple(params.fields), params.ngram, params.both_scripts, content)
    spans = evals.overlaps(bare_all(texts["text"].to_list()))
    marked = texts.with_columns(
        value=pl.Series([span and f"{span} ({evals.owner(span)})" for span in spans], dtype=pl.String),
        reason=pl.lit("contaminated"),
        threshold=pl.lit(f"< {params.ngram} characters in a row"),
    )
    clean = pl.col("value").is_null()
    out.facts["eval_items"] = len(evals.ids)
    out.close("decontaminated", texts.height, marked.filter(clean), rejects(marked.filter(~clean), STAGE))


@lru_cache(1)
def _loaded(
    place: Path, fields: tuple[str, ...], ngram: int, both_scripts: bool, content: tuple[str, ...]
) -> EvalGrams:
    """Once in each process; `content` are names and hashes of the files."""
    return load_evals(place, fields, ngram, both_scripts)
