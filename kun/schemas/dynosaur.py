"""Tables between metadata of datasets and pairs."""

import polars as pl

from kun.schemas.pairs import PAIR, SEED
from kun.schemas.schema import Schema

DYNOSAUR_DATASET: Schema = {
    "id": pl.String,  # of the name
    "name": pl.String,  # of the folder or hub dataset, "name-config" where there are several configurations
    "source": pl.String,  # the name again: what ledgers and counts go by
    "origin": pl.String,  # folder under `dynosaur.path`, "hub:<id>", or "file:line" of a list of cards
    "website": pl.String,  # page of the dataset, "" when it has none
    "licence": pl.String,  # SPDX in small letters, several joined by " AND "
    "noncommercial": pl.Boolean,
    "lang": pl.String,  # zh or en
    "lang_from": pl.String,  # "card", or "text" where the card is silent
    "categories": pl.List(pl.String),  # of the card; no prompt shows them
    "summary": pl.String,  # of the card, cleaned; "" when it has none
    "fields": pl.List(pl.String),  # that tasks may use
    "columns": pl.List(pl.String),  # all fields of the first row
    "rows": pl.List(pl.String),  # the first records, JSON each, class labels by name; none of a card alone
    "revision": pl.String,  # hash of all of the above: changes with the card or the rows
    "step": pl.Int64,  # of growth, from 1, in which the dataset came
}
"""data/dynosaur/datasets."""

DYNOSAUR_PROPOSAL: Schema = {
    "id": pl.String,  # of dataset name and variant
    "source": pl.String,  # name of the dataset
    "variant": pl.String,  # "aware" or "unaware" of the summary
    "reply": pl.String,  # as generated
    "finish": pl.String,  # "stop", "length" or "empty"
    "n_prompt": pl.Int64,  # tokens
    "n_new": pl.Int64,  # generated tokens
}
"""data/dynosaur/proposals: a reply for each dataset and variant."""

DYNOSAUR_TASK: Schema = {
    "id": pl.String,  # of dataset name, instruction as proposed, input and output fields: stable, whatever else changes
    "source": pl.String,  # name of the dataset
    "variant": pl.String,  # of the prompt that it came from
    "instruction": pl.String,  # with the sentence that names the labels, where there is one
    "input_fields": pl.List(pl.String),
    "output_field": pl.String,
    "kind": pl.String,  # "label": few different outputs; "text": many; "unknown": the dataset has no rows
    "labels": pl.List(pl.String),  # the different outputs of kind "label", sorted
    "lang": pl.String,
    "step": pl.Int64,  # of growth
}
"""data/dynosaur/tasks."""

DYNOSAUR_PAIR: Schema = PAIR | {
    "task": pl.String,  # id of the task
    "origin": pl.String,  # address of the dataset's page, else where it was read
}
"""data/dynosaur/pairs: method "dynosaur", source is the dataset, scores are null."""

DYNOSAUR_REPLAY: Schema = {
    "id": pl.String,  # of step and task
    "step": pl.Int64,  # of growth, before whose training the task is replayed
    "task": pl.String,  # of an earlier step
    "source": pl.String,  # name of the dataset
    "strategy": pl.String,
    "score": pl.Float64,  # mean cosine that the strategy looks at; a random number of `random`
    "rank": pl.Int64,  # from 1, the first to be chosen
}
"""data/dynosaur/replay."""

DYNOSAUR_LESSON: Schema = SEED | {
    "step": pl.Int64,
    "role": pl.String,  # "new" in this step, or "replay"
    "task": pl.String,
    "pair": pl.String,  # id of the pair; a pair can be in the lessons of several steps
    "licence": pl.String,
}
"""data/dynosaur/lessons: what is trained in each step, in a fixed random order; its rows of one step are a table of seeds."""
