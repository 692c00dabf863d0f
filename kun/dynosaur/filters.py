"""Which proposed tasks are valid: the reference's filters in its order, then what kun asks besides."""

import re

import polars as pl

from kun.corpus.text import HAN
from kun.params import Dynosaur
from kun.tables.rules import Rule, Split, absent, split_by_rules

PROPOSED: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String,  # of dataset, instruction and fields
    "reply": pl.String,  # id of the reply that it stands in
    "source": pl.String,  # name of the dataset
    "variant": pl.String,
    "instruction": pl.String,
    "input_fields": pl.List(pl.String),
    "output_fields": pl.List(pl.String),
    "known": pl.List(pl.String),  # fields that a task may use; null: not known
}
"""A task as it was proposed."""

OTHER_MODALITY = re.compile(
    r"\b(?:images?|pictures?|photos?|photographs?|audios?|videos?|recordings?)\b|图片|图像|照片|音频|录音|视频",
    re.IGNORECASE,
)
WORD = r"[\p{L}\p{N}&&[^\p{Han}]]+"


def valid_tasks(proposed: pl.DataFrame, params: Dynosaur) -> Split:
    """Separate PROPOSED rows that can be made into instances from those that cannot, with reasons.

    Duplicates are looked for among tasks that are valid otherwise, so that an invalid one never displaces another.
    """
    named = split_by_rules(with_features(proposed), field_rules())
    single = split_by_rules(_with_repeats(named.kept), repeat_rules())
    asked = split_by_rules(single.kept, instruction_rules(params))
    dropped = pl.concat([named.dropped, single.dropped, asked.dropped], how="diagonal")
    return Split(asked.kept, dropped)


def with_features(proposed: pl.DataFrame) -> pl.DataFrame:
    """Add what the rules look at."""
    both = pl.concat_list("input_fields", "output_fields")
    modality = pl.Series([_modality(text) for text in proposed["instruction"]], dtype=pl.String)
    text = pl.col("instruction")
    return proposed.with_columns(
        unknown=pl.when(pl.col("known").is_not_null())
        .then(both.list.set_difference("known").list.sort().list.join(", "))
        .otherwise(pl.lit("")),
        overlap=pl.col("input_fields").list.set_intersection("output_fields").list.sort().list.join(", "),
        words=text.str.count_matches(WORD) + text.str.count_matches(HAN) / 2,
        modality=modality,
    )


def field_rules() -> dict[str, Rule]:
    """Rules 2 to 4 of the reference."""
    outputs = pl.col("output_fields")
    return {
        "empty_output": Rule(outputs.list.len() > 0, outputs.list.join(", "), "a field"),
        "unknown_field": absent("unknown"),
        "input_is_output": absent("overlap"),
    }


def repeat_rules() -> dict[str, Rule]:
    """Rules 5 and 6 of the reference; the value is the instruction."""
    return {
        "same_instruction": Rule(pl.col("first_in_reply"), pl.col("instruction"), "once in a reply"),
        "same_task": Rule(pl.col("first_of_all"), pl.col("instruction"), "once in a dataset"),
    }


def instruction_rules(params: Dynosaur) -> dict[str, Rule]:
    """What kun asks besides."""
    inputs, outputs, words = pl.col("input_fields"), pl.col("output_fields"), pl.col("words")
    return {
        "several_outputs": Rule(outputs.list.len() == 1, outputs.list.join(", "), "one field"),
        "empty_input": Rule(inputs.list.len() > 0, inputs.list.join(", "), "a field"),
        "instruction_too_short": Rule(words >= params.min_words, words, params.min_words),
        "instruction_too_long": Rule(words <= params.max_words, words, params.max_words),
        "other_modality": absent("modality"),
    }


def _with_repeats(tasks: pl.DataFrame) -> pl.DataFrame:
    """`first_of_all` looks past tasks that their own reply repeats."""
    tasks = tasks.with_columns(first_in_reply=pl.struct("reply", "instruction").is_first_distinct())
    return tasks.with_columns(first_of_all=pl.struct("id", "first_in_reply").is_first_distinct())


def _modality(text: str) -> str:
    """The first word for pictures or sound, "" when there is none."""
    found = OTHER_MODALITY.search(text)
    return found[0] if found else ""
