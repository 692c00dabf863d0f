"""Lines that stand in many texts of a site: what a page, a template or a forum puts around each of them."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import polars as pl

from kun.params import Executor
from kun.work.parts import Part, PartWriter, Piece, code_key, compute_parts, rows_of

MIN_HAN, MIN_WORDS = 8, 4
"""Ideographs, or Latin words, of a line that may be boilerplate: shorter ones are headings, labels and thanks, which belong
to the texts; lines without either are markup and formulas."""

SITE = pl.col("source").str.split("/").list.first().alias("site")
"""A source, or the folder that holds many: each page of a site is a file."""

LINES_AT_ONCE = 2_000_000
"""Lines of prose that are counted together: 100 MB with the tables that polars makes of them."""

LINES = {"site": pl.String, "line": pl.UInt64, "docs": pl.UInt32}
"""`line` is a hash."""


def boilerplate_of(root: Path, shards: Sequence[Piece], min_docs: int, executor: Executor) -> list[pl.DataFrame]:
    """For each shard of texts its lines (site, line) that stand in `min_docs` texts of their site or more; 0: none."""
    if not min_docs:
        return [_NONE for _ in shards]
    parts = compute_parts(root, "lines", {"code": code_key()}, shards, _count, executor)
    tables = [table for part in parts for table in part.tables("lines")]
    common = pl.concat([_NONE, *(_common(tables, low, high, min_docs) for low, high in _ranges(tables))])
    return [_read(part).join(common, on=["site", "line"], how="semi").select("site", "line") for part in parts]


def without_lines(texts: pl.DataFrame, common: pl.DataFrame) -> pl.Series:
    """The column `text` without the lines in `common` (site, line), and without the blank ones that they leave behind."""
    if common.is_empty():
        return texts["text"]
    split = _split(texts).join(common.with_columns(gone=True), on=["site", "line"], how="left", maintain_order="left")
    touched = split.filter(pl.col("gone").any().over("row"))
    stays = pl.col("content").filter(pl.col("gone").is_null())
    after = touched.group_by("row", maintain_order=True).agg(stays.str.join("\n"))
    mended = after["content"].str.replace_all(r"\n{3,}", "\n\n").str.strip_chars()
    return texts["text"].clone().scatter(after["row"], mended)


def line_docs(texts: pl.DataFrame) -> pl.DataFrame:
    """LINES of prose, with the number of texts that each stands in."""
    content = pl.col("content")
    words = content.str.count_matches("[A-Za-z]+") >= MIN_WORDS
    prose = (words | (content.str.count_matches(r"\p{Han}") >= MIN_HAN)) & ~content.str.contains("<", literal=True)
    found = _split(texts).unique(["row", "line"]).filter(prose).group_by("site", "line").agg(docs=pl.len())
    return found.sort("line", "site").select(pl.col(name).cast(dtype) for name, dtype in LINES.items())


_NONE = pl.DataFrame(schema={"site": pl.String, "line": pl.UInt64})


def _split(texts: pl.DataFrame) -> pl.DataFrame:
    """A row for each line: `row` of its text, `site`, `content`, and `line`, the hash of the content without outer space."""
    split = texts.select(SITE, row=pl.int_range(pl.len()), content=pl.col("text").str.split("\n")).explode("content")
    return split.with_columns(line=pl.col("content").str.strip_chars().hash())


def _count(shard: Path, out: PartWriter) -> None:
    out.write("lines", line_docs(pl.read_parquet(shard, columns=["source", "text"])))


def _ranges(tables: Sequence[Path]) -> list[tuple[int, int]]:
    """Of hashes, first and last; each has about LINES_AT_ONCE lines at most."""
    count = -(-sum(map(rows_of, tables)) // LINES_AT_ONCE)
    bounds = [place * 2**64 // count for place in range(count + 1)] if count else [0]
    return [(low, high - 1) for low, high in pairwise(bounds)]


def _common(tables: Sequence[Path], low: int, high: int, min_docs: int) -> pl.DataFrame:
    """Lines with a hash in a range that stand in `min_docs` texts; tables are sorted by hash, so little else is read."""
    within = pl.col("line").is_between(pl.lit(low, pl.UInt64), pl.lit(high, pl.UInt64))
    found = [pl.scan_parquet(table).filter(within).collect() for table in tables]
    total = pl.concat(found).group_by("site", "line").agg(pl.col("docs").sum())
    return total.filter(pl.col("docs") >= min_docs).select("site", "line")


def _read(part: Part) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=LINES), *map(pl.read_parquet, part.tables("lines"))])
