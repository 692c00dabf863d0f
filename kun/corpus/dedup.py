"""data/cleaned -> data/deduped: across all sources, the first of equal or nearly equal texts stays."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from kun.corpus.minhash import Signatures, signatures_of
from kun.corpus.neardup import Alike, near_duplicates, without_twins
from kun.corpus.text import bare, bare_expr, text_id
from kun.params import Dedup
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.scratch import Scratch

STAGE = "dedup"
VERSION = 1  # part of the signatures' key: raise it when they change
SLICE = 20_000  # rows whose letters are in memory at a time


def dedup(project: Project, params: Dedup) -> dict[str, Any]:
    """Drop texts that agree in every letter and digit, then those whose shingles agree; returns the counts."""
    texts = read_dataset(project.dataset("cleaned"))
    ranked = texts.with_columns(place=pl.int_range(pl.len()), rank=_rank(params.prefer)).sort("rank", "place")
    identity = {"version": VERSION, "shingle": params.shingle, "bins": params.bins, "seed": params.seed}
    signature = pl.Array(pl.UInt32, params.bins)
    scratch = Scratch(project.scratch, "signatures", identity, {"signature": signature})
    keys = _sign(scratch, ranked["text"], params)
    distinct, equal = _without_equal(ranked.with_columns(key=keys))
    alike = Alike(params.shingle, params.threshold, params.short_chars)
    twins = near_duplicates(_Letters(distinct["text"]), _signatures(scratch, distinct["key"], params.bins), alike)
    kept, similar = without_twins(distinct, twins, params.threshold)
    ledger = [rejects(dropped.sort("place"), STAGE) for dropped in (equal, similar)]
    return close_stage(project, STAGE, "deduped", texts.height, kept.sort("place"), ledger)


def _rank(prefer: Sequence[str]) -> pl.Expr:
    """Place of the source, or of its first folder, among the preferred ones; all others behind them."""
    places = {source: place for place, source in enumerate(prefer)}
    folder = pl.col("source").str.split("/").list.first()
    own, parent = (
        name.replace_strict(places, default=len(places), return_dtype=pl.Int64) for name in (pl.col("source"), folder)
    )
    return pl.min_horizontal(own, parent)


class _Letters(Sequence[str]):
    """Texts as they are compared, made when asked for: all at once would take as much memory again."""

    def __init__(self, texts: pl.Series) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, row: Any) -> Any:
        text = self._texts[row]
        return bare(text) or text


def _letters(texts: pl.Series) -> list[str]:
    """Letters and digits of each text; a text without any stands for itself."""
    letters = bare_expr(pl.col("text"))
    shown = pl.when(letters == "").then(pl.col("text")).otherwise(letters)
    return texts.to_frame("text").select(shown).to_series().to_list()


def _sign(scratch: Scratch, texts: pl.Series, params: Dedup) -> pl.Series:
    """Key of each text's letters, after putting the signatures that scratch lacks there: a new file costs its own texts."""
    known = scratch.keys()
    keys: list[str] = []
    n_signed = 0
    for start in range(0, len(texts), SLICE):
        letters = _letters(texts.slice(start, SLICE))
        own = [text_id(text) for text in letters]
        new = {key: text for key, text in zip(own, letters, strict=True) if key not in known}
        if new:
            made = signatures_of(list(new.values()), params.shingle, params.bins, params.seed)
            scratch.append(pl.DataFrame({"key": list(new), "signature": made}, scratch.schema))
        known.update(new)
        n_signed += len(new)
        keys += own
    print(f"dedup: {n_signed} texts signed, {len(keys) - n_signed} were known or equal", file=sys.stderr)
    return pl.Series(keys, dtype=pl.String)


def _signatures(scratch: Scratch, keys: pl.Series, bins: int) -> Signatures:
    """The signature of each key, [keys, bins]; no key comes twice."""
    found = np.zeros((len(keys), bins), dtype=np.uint32)
    places = keys.to_frame("key").with_row_index("place")
    for piece in scratch.pieces():
        own = piece.join(places, on="key")
        found[own["place"].to_numpy()] = own["signature"].to_numpy()
    return found


def _without_equal(texts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows whose letters are new, and the others with their reason."""
    marked = texts.with_columns(twin=pl.col("id").first().over("key"), new=pl.col("key").is_first_distinct())
    dropped = marked.filter(~pl.col("new")).with_columns(
        reason=pl.lit("exact_duplicate"), value=pl.format("same as {}", "twin"), threshold=pl.lit("letters and digits")
    )
    return marked.filter("new").select(texts.columns), dropped
