"""Tables of losses and of what is chosen by them."""

import polars as pl

from kun.schemas.pairs import PAIR
from kun.schemas.schema import Schema

LOSSES: Schema = {
    "id": pl.String,
    "n_answer": pl.Int64,  # answer tokens that were scored; 0 where none was
    "s_cond": pl.Float64,  # mean loss of these tokens behind the prompt, nats; null without score
    "s_direct": pl.Float64,  # the same behind the context alone, nats; null without score
    "n_instruction": pl.Int64,  # scored tokens of instruction and input; null unless `losses.reversed`
    "s_rcond": pl.Float64,  # mean loss of these tokens behind the request to guess the instruction of the answer, nats
    "s_rdirect": pl.Float64,  # the same behind the context alone, nats
    "truncated": pl.Boolean,  # a text was cut to fit into `losses.max_length`, in one of the passes
    "reason": pl.String,  # "ok"; "few_tokens": scored, but noise; without score: "prompt_too_long", "empty_answer", "off"
    "reason_reversed": pl.String,  # the same of the reversed pass, or "empty_instruction"; null unless `losses.reversed`
    "template": pl.String,  # name and hash of the prompts: scores compare only under one
    "scorer": pl.String,  # name and fingerprint of the model, and the hash of its adapter
}
"""data/losses: what kun/select/scores.py derives IFD, reversed IFD and IRA from; a row for each pair, scored or not."""

SELECTED: Schema = PAIR | {
    "rank": pl.Int64,  # from 1: place in the ranking, or in the order in which diversity chose
    "ifd_loss": pl.Float64,  # these five as in kun/select/scores.py, null without score
    "ifd_ppl": pl.Float64,
    "rifd_loss": pl.Float64,
    "rifd_ppl": pl.Float64,
    "ira": pl.Float64,
    "edited_by": pl.String,  # reviewer whose edit this is, "" without one; scores are of the texts before it
}
"""data/selected and the sets of data/arms, rows in the order of data/mixed."""

EXPERIENCE: Schema = {
    "id": pl.String,
    "cluster": pl.Int64,  # of the prompt's embedding
    "ppl": pl.Float64,  # perplexity of the prompt under the base model
}
"""data/experience/chosen: the pairs on which the base model gathers its brief experience."""
