"""Lines that stand in many texts of a site: what a page, a template or a forum puts around each of them."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from kun.params import Executor
from kun.work.parts import Part, PartWriter, Piece, code_key, compute_parts

MIN_HAN, MIN_WORDS = 8, 4
"""Ideographs, or Latin words, of a line that may be boilerplate: shorter ones are headings, labels and thanks, which belong
to the texts; lines without either are markup and formulas."""

SITE = pl.col("source").str.split("/").list.first().alias("site")
"""A source, or the folder that holds many: each page of a site is a file."""

LINES = {"site": pl.String, "line": pl.UInt64, "docs": pl.UInt32}
"""`line` is a hash."""


def boilerplate_of(root: Path, shards: Sequence[Piece], min_docs: int, executor: Executor) -> list[pl.DataFrame]:
    """For each shard of texts its lines (site, line) that stand in `min_docs` texts of their site or more; 0: none.

    Holds a hash for each line of prose in the corpus.
    """
    if not min_docs:
        return [_NONE for _ in shards]
    parts = compute_parts(root, "lines", {"code": code_key()}, shards, _count, executor)
    total = pl.concat([_NONE, *map(_read, parts)], how="diagonal").group_by("site", "line").agg(pl.col("docs").sum())
    common = total.filter(pl.col("docs") >= min_docs).select("site", "line")
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
    return found.sort("site", "line").select(pl.col(name).cast(dtype) for name, dtype in LINES.items())


_NONE = pl.DataFrame(schema={"site": pl.String, "line": pl.UInt64})


def _split(texts: pl.DataFrame) -> pl.DataFrame:
    """A row for each line: `row` of its text, `site`, `content`, and `line`, the hash of the content without outer space."""
    split = texts.select(SITE, row=pl.int_range(pl.len()), content=pl.col("text").str.split("\n")).explode("content")
    return split.with_columns(line=pl.col("content").str.strip_chars().hash())


def _count(shard: Path, out: PartWriter) -> None:
    out.write("lines", line_docs(pl.read_parquet(shard, columns=["source", "text"])))


def _read(part: Part) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=LINES), *map(pl.read_parquet, part.tables("lines"))])
