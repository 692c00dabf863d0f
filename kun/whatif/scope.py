"""Which parameters can be answered from stored data, and what would answer the others."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from kun.errors import ConfigError
from kun.whatif.settings import Setting, assignment

NO_ROWS = "decides nothing about which rows there are"
READ_AGAIN = "all texts would have to be read again, by no model"
OTHER_TEXTS = "it changes the texts themselves, of which one version is stored"
MODEL = "a model would have to say something new"
EVALUATED = "p_good is set by the margin that `evaluate` has found; the scores of the judge stay as they are"
SAME_MEANING = "whether two texts say the same is known of the texts of today alone"

WHY_NOT = {
    "launch": NO_ROWS,
    "executor": NO_ROWS,
    "release": NO_ROWS,
    "release.*": NO_ROWS,
    "check.*": NO_ROWS,
    "ingest.licences*": NO_ROWS,
    "ingest*": READ_AGAIN,
    "clean.boilerplate_docs": READ_AGAIN,
    "clean.unsafe_words": READ_AGAIN,
    "clean.private*": OTHER_TEXTS,
    "clean.ner": OTHER_TEXTS,
    "clean.simplify": OTHER_TEXTS,
    "dedup*": READ_AGAIN,
    "decontaminate*": READ_AGAIN,
    "corpus.semantic_threshold": SAME_MEANING,
    "judge.calibrate": EVALUATED,
}
"""First match counts; what has none is answered, or else model work."""
ANSWERED = ("clean", "corpus", "instructions", "pairs", "mix", "select")
"""Sections; of `judge` only two keys are about stored scores."""
OTHER_PIPELINES = ("dynosaur", "experience", "glan", "reflection")


def check_answerable(settings: Iterable[Setting]) -> None:
    """ConfigError for the first parameter that needs more than stored data: why, and the command that would tell."""
    for setting in settings:
        if why := why_not(setting.key):
            raise ConfigError(f"{setting.key} cannot be answered from what is stored: {why}; {_command(setting)}")


def why_not(key: str) -> str:
    """Why stored data do not tell; "" where they do."""
    if reason := next((why for pattern, why in WHY_NOT.items() if fnmatchcase(key, pattern)), ""):
        return reason
    if key.split(".")[0] in ANSWERED or key in ("judge.threshold", "judge.floor"):
        return ""
    return MODEL


def _command(setting: Setting) -> str:
    section = setting.key.split(".")[0]
    if section in OTHER_PIPELINES:
        return f"`dvc exp run -S {assignment(setting)} pipelines/{section}/dvc.yaml` would tell"
    return f"`dvc exp run -S {assignment(setting)}` would tell"
