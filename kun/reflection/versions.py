"""Old and new version of each pair side by side, joined by id: columns `old_*` and `new_*`, never mixed."""

from collections.abc import Sequence

import polars as pl

from kun.errors import InputError
from kun.params import Reflection
from kun.project import Project
from kun.reflection.choice import SCORES, TEXTS
from kun.reflection.faults import Pair
from kun.reflection.oracle import Told
from kun.reflection.reply import Better
from kun.schemas.reflection import REFLECTED
from kun.tables.shards import read_dataset


def read_pairs(project: Project, params: Reflection) -> pl.DataFrame:
    """id, instruction, input, output, source and licence of `reflection.pairs`; InputError when it has no such columns."""
    frame = read_dataset(project.root / params.pairs)
    if missing := {"id", *TEXTS, "source"} - set(frame.columns):
        raise InputError(
            f"{project.root / params.pairs} has no {', '.join(sorted(missing))}; reflection.pairs names pairs"
        )
    licence = pl.col("licence") if "licence" in frame.columns else pl.lit("unknown")
    return frame.select("id", *TEXTS, "source", licence=licence)


def as_pairs(frame: pl.DataFrame) -> list[Pair]:
    """The rows as the oracle sees them."""
    return [Pair(*texts) for texts in frame.select(TEXTS).iter_rows()]


def reflected(frame: pl.DataFrame, told: Sequence[Told]) -> pl.DataFrame:
    """The REFLECTED table of pairs and what the oracle said of them, in order; other columns of `frame` stay.

    A new version is a whole pair of one reply, or nothing. One that is an answer alone takes over instruction and input.
    """
    rows = [_row(one, pair) for one, pair in zip(told, as_pairs(frame), strict=True)]
    return pl.concat([frame.drop(TEXTS), pl.DataFrame(rows, schema=_TOLD, orient="row")], how="horizontal")


_TOLD = {name: kind for name, kind in REFLECTED.items() if name != "id"}


def _row(told: Told, pair: Pair) -> tuple[str | int, ...]:
    if isinstance(told.better, Better):
        better = told.better
        asked = (better.instruction, "") if better.instruction else (pair.instruction, pair.input)
        return better.critique, *asked, better.answer, told.status, "", "", told.tries, ""
    refusal = told.better
    return "", "", "", "", told.status, refusal.reason, refusal.detail, told.tries, told.reply or ""


def side_by_side(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Pairs (`old`, with their scores if they have any) and the REFLECTED table of the same ids, in its order.

    Columns old_* and new_*, and `refusal`. InputError when the ids differ.
    """
    if set(old["id"]) != set(new["id"]) or old.height != new.height:
        raise InputError("the pairs and what the oracle made of them are of different runs; run `dvc repro` again")
    texts = new.select("id", *(pl.col(name).alias(f"new_{name}") for name in TEXTS), refusal="reason")
    known = old.rename({name: f"old_{name}" for name in (*TEXTS, *SCORES) if name in old.columns})
    return texts.join(known, on="id", how="left", maintain_order="left")


def statuses(done: pl.DataFrame) -> dict[str, dict[str, int]]:
    """For the counts of a stage: rows by status, and by the reason of what failed."""
    failed = done.filter(pl.col("status") == "failed")
    return {"statuses": _times(done["status"]), "refused": _times(failed["reason"])}


def _times(values: pl.Series) -> dict[str, int]:
    return dict(values.value_counts(sort=True, name="n").sort(["n", values.name], descending=[True, False]).iter_rows())
