"""The stages before the models, under other limits: clean, corpus and instructions."""

from collections.abc import Collection

import polars as pl

from kun.backtranslate import instructions
from kun.corpus import clean
from kun.corpus.clean import looked_at, unsafe_words
from kun.corpus.corpus import band_rules, within_limit
from kun.corpus.evals import EvalGrams, load_evals
from kun.corpus.neardup import without_near_duplicates
from kun.corpus.rules import length_rule, rules
from kun.errors import ConfigError
from kun.params import Clean, Corpus, Params
from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.tables.rules import Split, split_by_rules
from kun.whatif.again import Reconsidered, Rows, reconsider
from kun.whatif.stored import Stored

TEXTS = 40_000
"""That the rules of `clean` see in two or three seconds."""
LABELS = 20_000
"""Instructions that are compared with their texts in two or three seconds."""


def again_clean(stored: Stored, old: Clean, new: Clean) -> Reconsidered:
    """Under other limits of `clean`. Of dropped texts lines that a whole site has are not looked at, and tokens are those that
    the ledger tells of texts that were too long."""
    unsafe = unsafe_words(stored.project.root / new.unsafe_words)
    tokens = pl.col("value").str.extract(r"(\d+)").cast(pl.Int64).fill_null(0)
    long = stored.ledger("clean").filter(reason="too_long").select("id", n_tokens=tokens).collect()

    def seen(texts: pl.DataFrame, _: Collection[str] = ()) -> pl.DataFrame:
        found, _repaired = looked_at(texts.drop("n_tokens", strict=False), new, unsafe)
        if "n_tokens" in texts.columns:
            return found.with_columns(texts["n_tokens"])
        told = found.join(long, on="id", how="left", maintain_order="left")
        return told.with_columns(pl.col("n_tokens").fill_null(0))

    def of_kept(texts: pl.DataFrame, wanted: Collection[str]) -> pl.DataFrame:
        return texts.with_columns(masked="text") if set(wanted) <= set(CLEAN) else seen(texts)

    source = Rows(
        clean.STAGE,
        stored,
        stored.scan("cleaned"),
        list(CLEAN),
        of_kept,
        stored.scan("ingested"),
        [],
        seen,
        TEXTS,
    )
    return reconsider(source, *({**rules(one), **length_rule(one)} for one in (old, new)))


def again_corpus(stored: Stored, params: Corpus, gone: pl.LazyFrame) -> Split:
    """The texts of the band without those that are gone; no text is read. ConfigError where meanings are compared."""
    if params.semantic_threshold:
        raise ConfigError(
            "corpus.semantic_threshold is on: which texts say the same is known of the texts of today alone; "
            "`dvc exp run -S ...` would tell"
        )
    texts = stored.scan("decontaminated").select("id", "source").join(gone, on="id", how="anti", maintain_order="left")
    scores = stored.scan("perplexity").select("id", "ppl")
    scored = texts.join(scores, on="id", how="left", maintain_order="left").collect()
    band = split_by_rules(scored, band_rules(params))
    limit = Corpus(**{**vars(params), "limit": stored.scaled(params.limit)})
    sample = within_limit(band.kept, limit)
    return Split(sample.kept, pl.concat([band.dropped, sample.dropped]))


def again_instructions(stored: Stored, old: Params, new: Params) -> Reconsidered:
    """Under other limits of `instructions`; repeats are the business of `again_repeats`."""

    def with_texts(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.lazy().join(stored.scan("corpus").select("id", "text"), on="id", how="left").collect()

    def of_kept(rows: pl.DataFrame, wanted: Collection[str]) -> pl.DataFrame:
        rows = with_texts(rows) if "common" in wanted else rows
        return instructions.features(rows.with_columns(finish=pl.lit("stop")), none, wanted)

    def of_dropped(rows: pl.DataFrame) -> pl.DataFrame:
        known = evals(stored.project, new) if rows.height else none
        return instructions.with_features(with_texts(rows), known)

    none = EvalGrams([], 1)
    source = Rows(
        "instructions",
        stored,
        stored.scan("instructions"),
        ["id", "instruction", "finish", "length"],
        of_kept,
        stored.scan("labelled"),
        ["finish"],
        of_dropped,
        LABELS,
    )
    return reconsider(source, instructions.rules(old.instructions), instructions.rules(new.instructions))


def again_repeats(stored: Stored, params: Params, gone: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Kept instructions that repeat another under the new threshold, with reason, and ids that no longer do."""
    was = pl.col("reason") == "near_duplicate"
    out = stored.ledger("instructions").filter(was).select("id").collect()
    kept = stored.read("instructions", ["id"]).lazy().join(gone, on="id", how="anti").collect()
    order = stored.scan("labelled").select("id", "instruction").collect()
    both = order.join(pl.concat([kept, out]), on="id", how="semi", maintain_order="left")
    texts = both["instruction"].str.strip_chars().to_list()
    unique, repeated = without_near_duplicates(both, texts, params.instructions.dup_threshold, params.instructions.seed)
    return repeated.join(kept, on="id", how="semi"), unique.join(out, on="id", how="semi").select("id")


def evals(project: Project, params: Params) -> EvalGrams:
    """What no text may share with an evaluation set."""
    wanted = params.decontaminate
    return load_evals(project.root / wanted.path, wanted.fields, wanted.ngram, wanted.both_scripts)
