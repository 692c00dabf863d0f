"""All datasets by name."""

from kun.schemas.corpus import CLEAN, PERPLEXITY, TEXT
from kun.schemas.dynosaur import (
    DYNOSAUR_DATASET,
    DYNOSAUR_LESSON,
    DYNOSAUR_PAIR,
    DYNOSAUR_PROPOSAL,
    DYNOSAUR_REPLAY,
    DYNOSAUR_TASK,
)
from kun.schemas.glan import (
    GLAN_ANSWER,
    GLAN_COVERAGE,
    GLAN_LIST,
    GLAN_NODE,
    GLAN_QUESTION,
    GLAN_SESSION,
    GLAN_SUBJECT,
    GLAN_SYLLABUS,
)
from kun.schemas.pairs import INSTRUCTION, JUDGED, LABELLED, PAIR, POLISHED, SEED
from kun.schemas.reflection import CHOICE, REFLECTED
from kun.schemas.schema import Schema
from kun.schemas.select import EXPERIENCE, LOSSES, SELECTED

DATASETS: dict[str, Schema] = {
    "ingested": TEXT,
    "cleaned": CLEAN,
    "deduped": CLEAN,
    "decontaminated": CLEAN,
    "perplexity": PERPLEXITY,
    "corpus": CLEAN,
    "seeds": SEED,
    "labelled": LABELLED,
    "instructions": INSTRUCTION,
    "judged": JUDGED,
    "polished": POLISHED,
    "pairs": PAIR,
    "mixed": PAIR,
    "losses": LOSSES,
    "selected": SELECTED,
    "dynosaur/datasets": DYNOSAUR_DATASET,
    "dynosaur/proposals": DYNOSAUR_PROPOSAL,
    "dynosaur/tasks": DYNOSAUR_TASK,
    "dynosaur/pairs": DYNOSAUR_PAIR,
    "dynosaur/replay": DYNOSAUR_REPLAY,
    "dynosaur/lessons": DYNOSAUR_LESSON,
    "experience/chosen": EXPERIENCE,
    "glan/nodes": GLAN_NODE,
    "glan/lists": GLAN_LIST,
    "glan/subjects": GLAN_SUBJECT,
    "glan/syllabi": GLAN_SYLLABUS,
    "glan/sessions": GLAN_SESSION,
    "glan/questions": GLAN_QUESTION,
    "glan/answers": GLAN_ANSWER,
    "glan/pairs": PAIR,
    "glan/coverage": GLAN_COVERAGE,
    "reflection/instructions": REFLECTED,
    "reflection/by_ifd": CHOICE,
    "reflection/answers": REFLECTED,
    "reflection/by_rifd": CHOICE,
    "reflection/pairs": PAIR,
}
"""Folder under data/ -> schema; each has a suite in expectations/ and a `check` stage in the dvc.yaml that makes it."""

STAGES = {
    "ingest": "ingested",
    "clean": "cleaned",
    "dedup": "deduped",
    "decontaminate": "decontaminated",
    "perplexity": "perplexity",
    "corpus": "corpus",
    "label": "labelled",
    "instructions": "instructions",
    "judge": "judged",
    "polish": "polished",
    "pairs": "pairs",
    "mix": "mixed",
    "losses": "losses",
    "select": "selected",
}
"""Stage of the main line -> the dataset that it makes, in the order in which a record goes through them."""
