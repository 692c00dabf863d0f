"""The stages one after another under other parameters, from the first that differs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from kun.backtranslate.polish import floor_rule
from kun.params import Params
from kun.tables.rules import split_by_rules
from kun.whatif import choice, texts
from kun.whatif.settings import Setting
from kun.whatif.stored import Stored, need

DATASETS = {
    "clean": "cleaned",
    "corpus": "corpus",
    "instructions": "instructions",
    "polish": "polished",
    "pairs": "pairs",
    "mix": "mixed",
    "select": "selected",
}
"""Stages whose limits can be moved -> what they make, in order; `polish` stands for `judge.floor`."""
VERDICT = {"id": pl.String, "stage": pl.String, "reason": pl.String, "value": pl.String, "threshold": pl.String}
SEEN = ("id", "source", pl.col("output").str.len_chars().alias("chars"))
"""What the answer counts by."""


@dataclass
class Chain:
    """What has become of the rows so far."""

    stored: Stored
    old: Params
    new: Params
    changed: set[str]
    """Sections with another value."""
    keys: set[str]
    gone: list[pl.DataFrame] = field(default_factory=list)
    """Verdicts on rows that were kept and would not be."""
    gained: dict[str, int] = field(default_factory=dict)
    """Stage -> rows that it would keep beside those of today."""
    waiting: dict[str, int] = field(default_factory=dict)
    """Stage -> those of its rows that no model has seen yet."""
    notes: list[str] = field(default_factory=list)
    new_pairs: pl.DataFrame | None = None
    released: pl.DataFrame | None = None
    """What would be released, in the schema of data/selected."""

    def lost(self) -> pl.LazyFrame:
        """Ids that are gone."""
        return pl.concat([pl.DataFrame(schema={"id": pl.String}), *(one.select("id") for one in self.gone)]).lazy()

    def drop(self, stage: str, rows: pl.DataFrame) -> None:
        """These leave at a stage."""
        self.gone.append(verdicts(stage, rows))

    def moved(self) -> bool:
        """Something differs before the mix."""
        return bool(self.gone) or self.new_pairs is not None


def run_chain(stored: Stored, old: Params, new: Params, settings: Sequence[Setting]) -> Chain:
    """Every stage that the settings, or rows that come or go before it, can change. TooMany when a sample must do."""
    keys = {one.key for one in settings}
    chain = Chain(stored, old, new, {key.split(".")[0] for key in keys}, keys)
    need(stored.project, ["pairs", "mixed", "losses", "selected"])
    for step in (_clean, _corpus, _instructions, _twins, _floor, _pairs, _mix_and_select):
        step(chain)
    return chain


def verdicts(stage: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with reason, value and threshold, as VERDICT."""
    return rows.select(
        "id", pl.lit(stage).alias("stage"), "reason", *(pl.col(c).cast(pl.String) for c in ("value", "threshold"))
    )


def _clean(chain: Chain) -> None:
    if "clean" not in chain.changed:
        return
    found = texts.again_clean(chain.stored, chain.old.clean, chain.new.clean)
    chain.drop("clean", found.lost)
    _wait(chain, "clean", found.gained.height)


def _corpus(chain: Chain) -> None:
    if "corpus" not in chain.changed and not chain.gone:
        return
    split = texts.again_corpus(chain.stored, chain.new.corpus, chain.lost())
    before = chain.stored.read("corpus", ["id"])
    chain.drop("corpus", split.dropped.join(before, on="id", how="semi"))
    _wait(chain, "corpus", split.kept.join(before, on="id", how="anti").height)


def _instructions(chain: Chain) -> None:
    if "instructions" not in chain.changed:
        return
    found = texts.again_instructions(chain.stored, chain.old, chain.new)
    chain.drop("instructions", found.lost)
    fresh = found.gained.height
    repeats = chain.keys & {"instructions.dup_threshold", "instructions.seed"}
    if repeats and not _comparable(chain, chain.stored.rows("instructions")):
        _not_compared(chain, chain.stored.rows("instructions"), "instructions")
    elif repeats:
        again, back = texts.again_repeats(chain.stored, chain.new, chain.lost())
        chain.drop("instructions", again)
        fresh += back.height
    _wait(chain, "instructions", fresh)


def _floor(chain: Chain) -> None:
    if "judge.floor" not in chain.keys:
        return
    before, after = chain.old.judge.floor, chain.new.judge.floor
    judged = chain.stored.read("judged", ["id", "p_good"])
    kept = split_by_rules(judged, {"judge_floor": floor_rule(before)}).kept
    split = split_by_rules(judged, {"judge_floor": floor_rule(after)})
    chain.drop("polish", split.dropped.join(kept, on="id", how="semi"))
    _wait(chain, "polish", split.kept.join(kept, on="id", how="anti").height)


def _pairs(chain: Chain) -> None:
    if "pairs" not in chain.changed and "judge.threshold" not in chain.keys:
        return
    found = choice.again_pairs(chain.stored, chain.old, chain.new)
    chain.drop("pairs", found.lost)
    chain.new_pairs = found.gained.lazy().join(chain.lost(), on="id", how="anti").collect()
    chain.gained["pairs"] = chain.new_pairs.height


def _mix_and_select(chain: Chain) -> None:
    stored = chain.stored
    mixed = _mix(chain) if "mix" in chain.changed or chain.moved() else stored.read("mixed")
    chosen, unscored = choice.again_select(stored, chain.new, mixed)
    chain.gone += [verdicts("select", part) for part in (*chosen.dropped, chosen.failed)]
    if unscored:
        _wait(chain, "mix", unscored)
    chain.released = chosen.kept


def _mix(chain: Chain) -> pl.DataFrame:
    stored, params = chain.stored, chain.new
    gained = chain.new_pairs if chain.new_pairs is not None else pl.DataFrame()
    tables = choice.sources(stored, chain.old, params, chain.lost(), gained)
    again = chain.keys & {"mix.dup_threshold", "mix.sources"} or any(
        key.startswith("mix.sources.") for key in chain.keys
    )
    twins = choice.lost_twins(stored, chain.lost(), "mix")
    rows = sum(table.height for table in tables.values())
    compare = bool(again or gained.height or twins)
    if compare and not _comparable(chain, rows):
        compare = False
        _not_compared(chain, round(rows / stored.share), "mix")
    mixed, dropped = choice.again_mix(stored, params, tables, compare)
    chain.gone += [verdicts("mix", part) for part in dropped]
    before = stored.read("mixed", ["id"])
    chain.gained["mix"] = mixed.join(before, on="id", how="anti").height
    return mixed


def _comparable(chain: Chain, rows: int) -> bool:
    """Whether requests are compared with each other; a sample would miss most pairs that repeat each other."""
    return chain.stored.exact or (rows <= choice.REQUESTS and chain.stored.share == 1)


def _not_compared(chain: Chain, rows: int, stage: str) -> None:
    chain.notes.append(
        f"{rows:,} requests were not compared again for repeats ({stage}.dup_threshold): those of today count; "
        "--exact compares"
    )


def _twins(chain: Chain) -> None:
    """Repeats of what would be lost: the stages would keep them, and where they end is not known."""
    for stage in ("dedup", "instructions"):
        if twins := choice.lost_twins(chain.stored, chain.lost(), stage):
            chain.notes.append(
                f"{twins:,} rows that {stage} dropped repeat one that would be lost; they may come back, and are not counted"
            )


def _wait(chain: Chain, stage: str, rows: int) -> None:
    """Rows that come in at a stage, and that the models after it have never seen."""
    chain.gained[stage] = chain.gained.get(stage, 0) + rows
    chain.waiting[stage] = chain.waiting.get(stage, 0) + rows
