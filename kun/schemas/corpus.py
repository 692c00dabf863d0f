"""Tables of texts."""

import polars as pl

from kun.schemas.schema import Schema

TEXT: Schema = {
    "id": pl.String,
    "text": pl.String,  # normalised raw text
    "source": pl.String,  # file name under `ingest.path` without its suffixes: "encyclopedia", "essays/tea"
    "origin": pl.String,  # "essays/tea.txt:12": the file, and the line or record number in it (from 1); "#2" behind it: a piece
    "title": pl.String,  # "" when the source has none
    "lang": pl.String,  # ISO 639 code, or "other" for a script that no rule is for
    "n_chars": pl.Int64,
}
"""data/ingested."""

CLEAN: Schema = TEXT | {
    "n_tokens": pl.Int64,  # by the tokenizer of the base model, without template
}
"""data/cleaned, data/deduped, data/decontaminated, data/corpus."""

PERPLEXITY: Schema = {
    "id": pl.String,
    "n_scored": pl.Int64,  # tokens whose loss was taken
    "loss": pl.Float64,  # mean loss per token, nats
    "ppl": pl.Float64,  # exp(loss)
}
"""data/perplexity."""
