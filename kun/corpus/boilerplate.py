"""Lines that stand in many texts of a source: what a site or a template puts around each of them."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from kun.params import Executor
from kun.work.parts import Part, PartWriter, Piece, code_key, compute_parts

MIN_HAN, MIN_WORDS = 8, 4
"""Ideographs, or Latin words, of a line that may be boilerplate: shorter ones are headings, labels and thanks, which belong
to the texts; lines without either are markup and formulas."""

LINES = {"source": pl.String, "line": pl.String, "docs": pl.UInt32}


def boilerplate_of(root: Path, shards: Sequence[Piece], min_docs: int, executor: Executor) -> list[list[str]]:
    """For each shard of texts the lines in it that stand in `min_docs` texts of their source or more; 0: none.

    A line that comes but once in each shard is not counted.
    """
    if not min_docs:
        return [[] for _ in shards]
    settings = {"code": code_key()}
    parts = compute_parts(root, "lines", settings, shards, _count, executor)
    counted = [_read(part) for part in parts]
    total = pl.concat(counted).group_by("source", "line").agg(pl.col("docs").sum())
    common = total.filter(pl.col("docs") >= min_docs).select("source", "line")
    return [
        sorted(lines.join(common, on=["source", "line"], how="semi")["line"].unique().to_list()) for lines in counted
    ]


def without_lines(texts: pl.Series, lines: Sequence[str]) -> pl.Series:
    """The texts without these lines, and without the blank ones that they leave behind."""
    if not lines:
        return texts
    split = pl.DataFrame({"row": pl.int_range(len(texts), eager=True), "line": texts.str.split("\n")}).explode("line")
    split = split.with_columns(gone=pl.col("line").str.strip_chars().is_in(list(lines)))
    touched = split.filter(pl.col("gone").any().over("row"))
    line = pl.col("line").filter(~pl.col("gone"))
    after = touched.group_by("row", maintain_order=True).agg(line.str.join("\n")).sort("row")
    mended = after["line"].str.replace_all(r"\n{3,}", "\n\n").str.strip_chars()
    return texts.clone().scatter(after["row"], mended)


def line_docs(texts: pl.DataFrame) -> pl.DataFrame:
    """LINES that stand in two texts or more of one source."""
    split = texts.select("source", row=pl.int_range(pl.len()), line=pl.col("text").str.split("\n")).explode("line")
    line = pl.col("line")
    stripped = split.with_columns(line.str.strip_chars()).unique(["row", "line"])
    docs = stripped.group_by("source", "line").agg(docs=pl.len()).filter(pl.col("docs") > 1)
    prose = (line.str.count_matches(r"\p{Han}") >= MIN_HAN) | (line.str.count_matches("[A-Za-z]+") >= MIN_WORDS)
    found = docs.filter(prose & ~line.str.contains("<", literal=True)).sort("source", "line")
    return found.select(pl.col(name).cast(dtype) for name, dtype in LINES.items())


def _count(shard: Path, out: PartWriter) -> None:
    out.write("lines", line_docs(pl.read_parquet(shard, columns=["source", "text"])))


def _read(part: Part) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=LINES), *map(pl.read_parquet, part.tables("lines"))])
