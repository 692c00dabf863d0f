"""datatrove's filters for Chinese as FineWeb-2 runs them, then its encoding and PII formatters, in one process.

`.bench/datatrove/bin/python bench/peers/rules_datatrove.py TEXTS.jsonl`

Filters, their order and thresholds: fineweb-2-pipeline.py and configs/cmn_Hani.yml of huggingface/fineweb-2. FineWeb-2 leaves the
C4 filters out; they look for `.`, `!` and `?` at the end of a line and would drop every Chinese one. Left out here: the
language filter, whose model (GlotLID) would be downloaded. Words are those of jieba, cut once for all filters.
"""

import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from common import compare_rules
from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.formatters import FTFYFormatter, PIIFormatter

CHINESE = "cmn_Hani"
COMMON_WORDS = list("的年在月是和日了於·為有被人中为他與後也而由")


def steps() -> list[Any]:
    """Filters and formatters, new for each run since they count."""
    return [
        GopherRepetitionFilter(
            language=CHINESE,
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            dup_line_frac=0.287,
            top_n_grams=((2, 0.256), (3, 0.201), (4, 0.171)),
            dup_n_grams=((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.14), (10, 0.127)),
        ),
        FineWebQualityFilter(
            language=CHINESE, short_line_thr=999, char_duplicates_ratio=0.1, line_punct_thr=0.106, new_line_ratio=0.178
        ),
        GopherQualityFilter(
            language=CHINESE,
            min_avg_word_length=1,
            max_avg_word_length=5,
            max_non_alpha_words_ratio=0.735,
            stop_words=COMMON_WORDS,
            min_stop_words=2,
        ),
        FTFYFormatter(),
        PIIFormatter(),
    ]


def kept(texts: Sequence[str]) -> int:
    """Number of texts that pass every filter."""
    passed = []

    # A function, not a list: the executor copies lists, document by document.
    def documents(data: None, rank: int, world_size: int) -> Iterator[Document]:
        return (Document(text=text, id=str(place)) for place, text in enumerate(texts))

    def note(data: Iterator[Document], rank: int, world_size: int) -> None:
        passed.extend(document.id for document in data)

    with tempfile.TemporaryDirectory() as logs:
        LocalPipelineExecutor([documents, *steps(), note], tasks=1, workers=1, logging_dir=logs).run()
    return len(passed)


if __name__ == "__main__":
    compare_rules(version("datatrove"), {"datatrove, filters of FineWeb-2": kept})
