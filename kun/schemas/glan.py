"""Tables between a taxonomy and pairs."""

import polars as pl

from kun.schemas.schema import Schema

GLAN_NODE: Schema = {
    "id": pl.String,  # of the parent's id, kind and key
    "key": pl.String,  # as in the taxonomy: "optics"
    "kind": pl.String,  # "field", "subfield" or "discipline"
    "parent_id": pl.String,  # "" for a field
    "zh": pl.String,  # names
    "en": pl.String,
    "path": pl.String,  # keys from the field down: "natural-science/physics/optics"
    "origin": pl.String,  # "human" (taxonomy.yaml) or "model" (proposed.yaml)
    "n_keep": pl.Int64,  # votes
    "n_remove": pl.Int64,
    "tie": pl.Boolean,  # as many votes for as against: kept, but worth a look
    "chosen": pl.Boolean,  # a discipline of `glan.disciplines`
}
"""data/glan/nodes: what people keep of the taxonomy, parents before children."""

GLAN_LIST: Schema = {
    "id": pl.String,  # of discipline and query
    "discipline_id": pl.String,
    "query": pl.Int64,  # from 0
    "text": pl.String,  # the teacher's free text
    "finish": pl.String,
    "n_new": pl.Int64,  # generated tokens
}
"""data/glan/lists: free lists of subjects, several for each discipline."""

GLAN_SUBJECT: Schema = {
    "id": pl.String,  # of discipline, normalised name and level_raw
    "discipline_id": pl.String,
    "name": pl.String,
    "level": pl.Int64,  # null where level_raw is no number
    "level_raw": pl.String,
    "topics": pl.List(pl.String),
    "n_mentions": pl.Int64,  # lists that name it
}
"""data/glan/subjects: merged over the lists of a discipline, the most named first."""

GLAN_SYLLABUS: Schema = {
    "id": pl.String,  # of the subject
    "text": pl.String,  # whole, without a last line that was cut
    "finish": pl.String,
    "n_new": pl.Int64,
}
"""data/glan/syllabi: one for each subject."""

GLAN_SESSION: Schema = {
    "id": pl.String,  # of subject and normalised name
    "subject_id": pl.String,
    "place": pl.Int64,  # in the syllabus, from 0
    "name": pl.String,
    "concepts": pl.List(pl.String),
    "concept_ids": pl.List(pl.String),  # of session and normalised text
}
"""data/glan/sessions: class sessions with their key concepts."""

GLAN_QUESTION: Schema = {
    "id": pl.String,  # of subject, strategy, sessions and concepts
    "discipline_id": pl.String,
    "subject_id": pl.String,
    "strategy": pl.String,  # "single" or "double"
    "draw": pl.Int64,  # place among the samples of the subject, from 0
    "session_ids": pl.List(pl.String),
    "concept_ids": pl.List(pl.String),
    "question": pl.String,
}
"""data/glan/questions."""

GLAN_ANSWER: Schema = {
    "id": pl.String,  # of the question
    "answer": pl.String,
    "finish": pl.String,
    "n_new": pl.Int64,
}
"""data/glan/answers."""

GLAN_COVERAGE: Schema = {
    "id": pl.String,  # of the node
    "path": pl.String,
    "kind": pl.String,
    "zh": pl.String,
    "en": pl.String,
    "chosen": pl.Boolean,
    "subjects": pl.Int64,  # with all below the node, as the next two
    "questions": pl.Int64,
    "pairs": pl.Int64,
    "thin": pl.Boolean,  # a chosen discipline with fewer pairs than `glan.thin`
}
"""data/glan/coverage: what each node of the taxonomy has brought."""
