"""What the lines of a text are: sentences, list items, rows of a table, code, repetitions; counted for many texts at once."""

import polars as pl

LIST_ITEM = r"[-*+•·>#|◆●■★☆※✓①-⑳]|[(（]?(?:\d{1,2}|[一二三四五六七八九十]{1,3})[.、)）:：\s]"
TITLE = 40
"""Characters: a first line this short is a title."""
TAIL = 20
"""Characters behind the last stop that are forgiven."""
CODE_LINE = 160
"""Characters: longer lines are prose, whatever they end with."""
LABEL = 10
"""Characters: a shorter line that comes again is a label, as in a list of marks."""
ENTRY = 20
"""Characters: a list item this short, without a stop, says nothing by itself."""

_CLOSING = r"[。！？…!?；：:.~～”’\"」』）)】]$"
_STOP = r"[。！？!?]"
_PAUSE = r"[，。！？,!?]"
_EMOJI_END = r"[\p{Emoji_Presentation}\x{1F3FB}-\x{1F3FF}\x{2600}-\x{27BF}]$"
REMARK = 200
"""Characters: a text of one line this short often lacks its last stop; nothing was cut from it."""
_TABLE_ROW = r"^\|.*\|$|\t[^\t]*\t|^[+|][-=+|: ]+[+|]$"
TABLE_ROWS = 3
"""Fewer rows are no table."""
_CODE_LINE = (
    r"[;{}]$|^[$#>%] ?[a-z./]|^(?:#include|import|from|def|class|public|private|static|void|int|return|const|let|var|"
    r"function|sudo|SELECT|INSERT|UPDATE|if ?\(|for ?\(|while ?\(|else|//|/\*|<\?|</?[a-z]+[ >])"
)
_HAN = r"\p{Han}"


def line_counts(proses: pl.Series) -> pl.DataFrame:
    """A row for each prose: how many of its filled lines are of each kind, and the share of characters in repeated ones."""
    lines = (
        pl.DataFrame({"row": pl.int_range(len(proses), eager=True), "line": proses.str.split("\n")})
        .explode("line")
        .with_columns(pl.col("line").str.strip_chars())
        .filter((pl.col("line") != "") & pl.col("line").is_not_null())
    )
    line, row = pl.col("line"), pl.col("row")
    size = line.str.len_chars().cast(pl.Int64)
    item = line.str.contains(rf"^(?:{LIST_ITEM})")
    closed = line.str.contains(_CLOSING) | line.str.contains(_EMOJI_END)
    alone = (row != row.shift(1, fill_value=-1)) & (row != row.shift(-1, fill_value=-1))
    remark = alone & (size <= REMARK) & line.str.contains(_PAUSE)
    near_stop = line.str.tail(TAIL + 1).str.contains(_STOP)
    no_han = ~line.str.contains(_HAN)
    counted = (
        lines.with_columns(
            first=row != row.shift(1, fill_value=-1), size=size, item=item, ended=closed | near_stop | remark
        )
        .with_columns(again=~pl.struct("row", "line").is_first_distinct())
        .group_by("row", maintain_order=True)
        .agg(
            lines=pl.len(),
            closed_lines=(pl.col("ended") | pl.col("item") | (pl.col("first") & (size <= TITLE))).sum(),
            entry_lines=(pl.col("item") & ~pl.col("ended") & ~line.str.starts_with("#") & (size <= ENTRY)).sum(),
            table_lines=line.str.contains(_TABLE_ROW).sum(),
            code_chars=pl.col("size").filter(no_han & (size <= CODE_LINE) & line.str.contains(_CODE_LINE)).sum(),
            line_chars=pl.col("size").sum(),
            again_chars=pl.col("size").filter(pl.col("again") & (pl.col("size") >= LABEL)).sum(),
        )
    )
    rows = pl.DataFrame({"row": pl.int_range(len(proses), eager=True)})
    return rows.join(counted, on="row", how="left", maintain_order="left").drop("row").fill_null(0)
