"""Data-Juicer's document_minhash_deduplicator, in one process: as it comes (tokens parted by white space), as its
documentation recommends for Chinese (characters), and with the threshold of kun.
"""

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version

from common import compare_near_duplicates
from data_juicer.core.data import NestedDataset
from data_juicer.ops.deduplicator.document_minhash_deduplicator import DocumentMinhashDeduplicator


def dropped(texts: Sequence[str], tokenization: str, threshold: float) -> list[int]:
    """Places of the texts that the operator leaves out."""
    rows = NestedDataset.from_list([{"text": text, "place": place} for place, text in enumerate(texts)])
    operator = DocumentMinhashDeduplicator(
        tokenization=tokenization, jaccard_threshold=threshold, auto_op_parallelism=False
    )
    kept = rows.process([operator], open_monitor=False)
    return sorted(set(range(len(texts))).difference(kept["place"]))


if __name__ == "__main__":
    compare_near_duplicates(
        version("py-data-juicer"),
        {
            "Data-Juicer, words, 0.7 (default)": partial(dropped, tokenization="space", threshold=0.7),
            "Data-Juicer, characters, 0.7": partial(dropped, tokenization="character", threshold=0.7),
            "Data-Juicer, characters, 0.5": partial(dropped, tokenization="character", threshold=0.5),
        },
    )
