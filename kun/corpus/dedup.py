"""data/cleaned -> data/deduped: across all sources, the first of equal or nearly equal texts stays.

Three steps: the shards are signed (each once), the signatures of all are compared, and the shards are written without the
rows that go. Only the texts whose signatures meet are in memory together.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kun.corpus.letters import comparable
from kun.corpus.minhash import Signatures, signatures_of
from kun.corpus.neardup import Alike, near_duplicates
from kun.corpus.text import by_source, text_id
from kun.corpus.verified import read_verified, write_verified
from kun.params import Dedup, Executor
from kun.project import Project
from kun.tables.ledger import close_shards, rejects
from kun.tables.sources import warn_unknown
from kun.work.parts import Part, PartWriter, Piece, code_key, compute_parts, shard_pieces, shards_of
from kun.work.scratch import content_key

STAGE = "dedup"
SLICE = 20_000  # rows whose letters are in memory at a time
GONE = {"row": pl.UInt32, "reason": pl.String, "value": pl.String, "threshold": pl.String}


def dedup(project: Project, params: Dedup, executor: Executor = "processes") -> dict[str, Any]:
    """Drop texts that agree in every letter and digit, then those whose shingles agree; returns the counts."""
    pieces = shard_pieces(project.dataset("cleaned"))
    code = {"code": code_key()}
    how = {"shingle": params.shingle, "bins": params.bins, "seed": params.seed}
    signed = compute_parts(project.scratch, "signatures", code | how, pieces, partial(_sign, params), executor)
    rows = _in_order(signed, params.prefer)
    known = project.scratch / "verified" / f"{content_key(code | asdict(params))[:16]}.parquet"
    near = _similar(rows, signed, [piece.payload for piece in pieces], params, known)
    gone = pl.concat([_equal(rows, near), _near(near, params.threshold)])
    without = [
        _without(piece, gone.filter(pl.col("shard") == number).drop("shard")) for number, piece in enumerate(pieces)
    ]
    parts = compute_parts(project.scratch, STAGE, code, without, _take_out, executor)
    return close_shards(project, STAGE, "deduped", shards_of(parts))


def _sign(params: Dedup, shard: Path, out: PartWriter) -> None:
    """Table `rows`: what comparisons need of each row, in order."""
    texts = pl.read_parquet(shard, columns=["id", "source", "text"])
    for part in texts.iter_slices(SLICE):
        letters = comparable(part["text"].to_list())
        signatures = signatures_of(letters, params.shingle, params.bins, params.seed)
        signature = pl.Series(signatures, dtype=pl.Array(pl.UInt32, params.bins))
        keys = pl.Series([text_id(text) for text in letters], dtype=pl.String)
        out.write("rows", part.select("id", "source").with_columns(key=keys, signature=signature))


def _in_order(signed: Sequence[Part], prefer: Sequence[str]) -> pl.DataFrame:
    """Every row (shard, row, id, key, place), in the order in which rows are kept; `place` counts rows as they lie."""
    columns = ["id", "source", "key"]
    tables = [
        pl.read_parquet(part.tables("rows"), columns=columns).with_columns(
            shard=pl.lit(number, pl.UInt32), row=pl.int_range(pl.len(), dtype=pl.UInt32)
        )
        for number, part in enumerate(signed)
        if part.tables("rows")
    ]
    none = pl.DataFrame(schema=dict.fromkeys(columns, pl.String) | {"shard": pl.UInt32, "row": pl.UInt32})
    rows = pl.concat([none, *tables]).with_columns(place=pl.int_range(pl.len()), rank=_rank(prefer))
    warn_unknown("dedup.prefer", prefer, rows["source"].unique())
    return rows.sort("rank", "place").drop("rank", "source")


def _rank(prefer: Sequence[str]) -> pl.Expr:
    """Place of the source, or of its first folder, among the preferred ones; all others behind them."""
    return by_source({source: place for place, source in enumerate(prefer)}, len(prefer), pl.Int64)


def _equal(rows: pl.DataFrame, near: pl.DataFrame) -> pl.DataFrame:
    """Rows to drop (shard and GONE) whose letters an earlier row has.

    That row may be one of `near`; then the one that stays is named behind it, so that `value` ends with a row that is there.
    """
    again = rows.with_columns(twin=pl.col("id").first().over("key")).filter(~pl.col("key").is_first_distinct())
    told = again.join(near.select("similarity", "kept", twin="id"), on="twin", how="left", maintain_order="left")
    return told.select(
        "shard",
        "row",
        reason=pl.lit("exact_duplicate"),
        value=pl.coalesce(
            pl.format("jaccard {} (same as {}) with {}", "similarity", "twin", "kept"), pl.format("same as {}", "twin")
        ),
        threshold=pl.lit("letters and digits"),
    )


def _near(near: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Rows to drop (shard and GONE) that resemble an earlier one."""
    return near.select(
        "shard",
        "row",
        reason=pl.lit("near_duplicate"),
        value=pl.format("jaccard {} with {}", "similarity", "kept"),
        threshold=pl.lit(str(threshold)),
    )


def _similar(
    rows: pl.DataFrame, signed: Sequence[Part], texts: Sequence[Path], params: Dedup, known: Path
) -> pl.DataFrame:
    """Rows (id, shard, row) that resemble an earlier one of other letters, with `similarity`, three digits, and the id of that
    one, `kept`; pairs in the file `known` are not read."""
    distinct = rows.filter(pl.col("key").is_first_distinct())
    signatures = _signatures(signed, distinct["place"].to_numpy(), rows.height, params.bins)

    def letters(wanted: NDArray[np.int64]) -> list[str]:
        return _letters(distinct[wanted].select("shard", "row"), texts)

    verified = read_verified(known, distinct["key"])
    twins = near_duplicates(signatures, letters, Alike(params.shingle, params.threshold, params.short_chars), verified)
    write_verified(known, distinct["key"], verified)
    ids = distinct["id"]
    return distinct[[twin.row for twin in twins]].select(
        "id",
        "shard",
        "row",
        similarity=pl.Series([f"{twin.similarity:.3f}" for twin in twins], dtype=pl.String),
        kept=pl.Series([ids[twin.kept] for twin in twins], dtype=pl.String),
    )


def _signatures(signed: Sequence[Part], places: NDArray[np.int64], rows: int, bins: int) -> Signatures:
    """Of the rows at `places`, in that order, [places, bins]; one table at a time."""
    wanted = np.full(rows, -1)
    wanted[places] = np.arange(len(places))
    found = np.zeros((len(places), bins), dtype=np.uint32)
    start = 0
    for table in (table for part in signed for table in part.tables("rows")):
        signatures = pl.read_parquet(table, columns=["signature"])["signature"].to_numpy()
        own = wanted[start : start + len(signatures)]
        found[own[own >= 0]] = signatures[own >= 0]
        start += len(signatures)
    return found


def _letters(rows: pl.DataFrame, texts: Sequence[Path]) -> list[str]:
    """Of rows (shard, row), in their order; reads each shard once."""
    found = [""] * rows.height
    for own in rows.with_row_index("wanted").partition_by("shard"):
        text = pl.read_parquet(texts[own["shard"][0]], columns=["text"])["text"].gather(own["row"])
        for wanted, letters in zip(own["wanted"], comparable(text.to_list()), strict=True):
            found[wanted] = letters
    return found


def _without(piece: Piece, gone: pl.DataFrame) -> Piece:
    """The same shard again as long as the same rows go, for the same reasons."""
    return Piece(content_key([piece.key, gone.sort("row").rows()]), (piece.payload, gone), piece.size)


def _take_out(payload: tuple[Path, pl.DataFrame], out: PartWriter) -> None:
    shard, gone = payload
    texts = pl.read_parquet(shard).with_row_index("row").with_columns(pl.col("row").cast(pl.UInt32))
    dropped = texts.join(gone, on="row", maintain_order="left")
    kept = texts.join(gone, on="row", how="anti", maintain_order="left")
    out.close("deduped", texts.height, kept, rejects(dropped, STAGE))
