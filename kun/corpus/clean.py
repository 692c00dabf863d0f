"""data/ingested -> data/cleaned: repair each text, then drop by named rules.

Repairs: boilerplate.py, repair.py, privacy.py. What the rules look at: features.py. The rules: rules.py, rules_en.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from kun.corpus.boilerplate import boilerplate_of, without_lines
from kun.corpus.features import features
from kun.corpus.files import raw_files
from kun.corpus.privacy import mask_private, recogniser_key
from kun.corpus.repair import repair
from kun.corpus.rules import length_rule, rules
from kun.corpus.rules_en import english_features
from kun.corpus.text import normalise
from kun.errors import InputError
from kun.params import Clean, Executor
from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.schemas.schema import conform
from kun.tables.ledger import close_shards, rejects
from kun.tables.rules import split_by_rules
from kun.work.parts import PartWriter, Piece, code_key, compute_parts, shard_pieces, shards_of
from kun.work.scratch import content_key

STAGE = "clean"
SLICE = 5_000  # rows that are looked at together: their features take ten times the room of their texts


@dataclass(frozen=True)
class TokenCounter:
    """How tokens are counted, in whatever process."""

    count: Callable[[list[str]], list[int]]
    """Texts -> tokens of each by the base model, without template; picklable."""
    name: str
    """Of the tokenizer: other names, other counts."""


@dataclass(frozen=True)
class Cleaned:
    """What became of some rows of data/ingested."""

    kept: pl.DataFrame
    """In the CLEAN schema; ids stay those of the ingested texts."""
    dropped: pl.DataFrame
    """Ledger."""
    facts: dict[str, Any]
    """`tokens` kept or too many, `private` places by kind, `repaired` texts by repair, and private places `by_source`. All
    add up."""


def clean(project: Project, params: Clean, tokens: TokenCounter, executor: Executor = "processes") -> dict[str, Any]:
    """Repair and filter data/ingested; returns the counts.

    Tokens are counted once, and only for texts that passed every other rule.
    """
    shards = shard_pieces(project.dataset("ingested"))
    unsafe = unsafe_words(project.root / params.unsafe_words)
    recogniser = recogniser_key(params.ner) if params.ner else ""
    settings = asdict(params) | {"code": code_key(), "unsafe": unsafe, "tokens": tokens.name, "recogniser": recogniser}
    common = boilerplate_of(project.scratch, shards, params.boilerplate_docs, executor)
    pieces = [
        Piece(content_key([shard.key, lines.rows()]), (shard.payload, lines), shard.size)
        for shard, lines in zip(shards, common, strict=True)
    ]
    work = partial(_clean, params, tokens.count, unsafe)
    parts = compute_parts(project.scratch, STAGE, settings, pieces, work, executor)
    return close_shards(project, STAGE, "cleaned", shards_of(parts))


def cleaned(
    texts: pl.DataFrame,
    params: Clean,
    count_tokens: Callable[[list[str]], list[int]],
    unsafe: Sequence[str] = (),
    boilerplate: pl.DataFrame | None = None,
) -> Cleaned:
    """Repair and filter rows of data/ingested, each without regard to the others: any cut into shards gives the same rows.

    `unsafe` are words that no text may have, `boilerplate` lines that go (as `boilerplate_of` gives them).
    """
    seen, repaired = looked_at(texts, params, unsafe, boilerplate)
    cheap = split_by_rules(seen, rules(params))
    counts = pl.Series(count_tokens(cheap.kept["text"].to_list()), dtype=pl.Int64)
    costly = split_by_rules(cheap.kept.with_columns(n_tokens=counts), length_rule(params))
    # The ledger quotes masked texts: it travels, and its examples stand in the report.
    dropped = [rejects(part.dropped, STAGE, excerpt="masked") for part in (cheap, costly)]
    facts = {
        "tokens": counts.sum(),
        "repaired": repaired,
        **_private(seen),
    }
    return Cleaned(conform(costly.kept, CLEAN), pl.concat(dropped), facts)


def looked_at(
    texts: pl.DataFrame, params: Clean, unsafe: Sequence[str], boilerplate: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The repaired rows with all that the rules look at, and how many texts each repair changed."""
    bare = texts["text"] if boilerplate is None else without_lines(texts, boilerplate)
    repaired = repair(bare, params.simplify)
    masked = texts.with_columns(mask_private(repaired.texts, params.private, params.ner))
    seen = features(masked, unsafe)
    seen = english_features(seen) if "en" in params.languages else seen
    return seen, {"boilerplate": int((bare != texts["text"]).sum()), **repaired.counts}


def unsafe_words(place: Path) -> list[str]:
    """The words of a file, or of all files of a folder but its README: one a line, those that begin with # left out."""
    if not place.exists():
        raise InputError(f"{place} is missing; set clean.unsafe_words to a folder of word lists (it may be empty)")
    words = set()
    for file in [place] if place.is_file() else raw_files(place):
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{file} is not in UTF-8 ({error.reason}); it holds clean.unsafe_words, one a line"
            ) from None
        words |= {word for line in lines if (word := normalise(line)) and not word.startswith("#")}
    return sorted(words)


def _clean(
    params: Clean,
    count_tokens: Callable[[list[str]], list[int]],
    unsafe: Sequence[str],
    payload: tuple[Path, pl.DataFrame],
    out: PartWriter,
) -> None:
    shard, boilerplate = payload
    rows = pl.read_parquet(shard)
    slices = [*rows.iter_slices(SLICE)] or [rows]
    done = [cleaned(texts, params, count_tokens, unsafe, boilerplate) for texts in slices]
    kept, dropped = (pl.concat([getattr(one, name) for one in done]) for name in ("kept", "dropped"))
    out.close("cleaned", rows.height, kept, dropped, [one.facts for one in done])


def _private(masked: pl.DataFrame) -> dict[str, Any]:
    """Places of private data by kind, of all and by source."""
    places = masked.select("source", kind="private").explode("kind", empty_as_null=False).drop_nulls()
    times = places.group_by("source", "kind").len("places").sort("places", "kind", descending=[True, False])
    by_source = {
        own["source"][0]: {"private": dict(own.select("kind", "places").iter_rows())}
        for own in times.partition_by("source")
    }
    total = times.group_by("kind", maintain_order=True).agg(pl.col("places").sum())
    return {"private": dict(total.iter_rows()), "by_source": by_source}
