"""datatrove's MinHash: its four blocks, each in one process of its own executor.

Words: the Chinese words of its tokenizer (jieba by way of spaCy) with the settings of FineWeb-2 (fineweb-2-pipeline.py: word
5-grams, 14 buckets of 8, 64-bit xxhash; threshold about 0.72). Characters: the same with a tokenizer of our own, since none of
its own cuts into characters; and with 22 buckets of 5 (threshold about 0.54). Both normalise the text first: lower case, no
punctuation, every number becomes 0. Signatures lie on disk, as its design asks.
"""

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from common import compare_near_duplicates
from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer


class Characters(WordTokenizer):
    """A tokenizer for which every character is a word."""

    def word_tokenize(self, text: str) -> list[str]:
        """All but white space."""
        return [letter for letter in text if not letter.isspace()]

    def sent_tokenize(self, text: str) -> list[str]:
        """Not asked for by MinHash."""
        raise NotImplementedError

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Not asked for by MinHash."""
        raise NotImplementedError


def dropped(texts: Sequence[str], tokenizer: str | WordTokenizer, buckets: int, width: int) -> list[int]:
    """Places of the texts that the last block filters out."""
    hashes = HashConfig(hash_fc="xxhash", precision=64)
    config = MinhashConfig(n_grams=5, num_buckets=buckets, hashes_per_bucket=width, hash_config=hashes)
    kept = set()

    # Functions, not lists: the executor copies lists, document by document.
    def documents(data: None, rank: int, world_size: int) -> Iterator[Document]:
        return (Document(text=text, id=str(place)) for place, text in enumerate(texts))

    def note(data: Iterator[Document], rank: int, world_size: int) -> None:
        kept.update(int(document.id) for document in data)

    with tempfile.TemporaryDirectory() as folder:
        signatures, pairs, removed = (f"{folder}/{name}" for name in ("signatures", "pairs", "removed"))
        run([documents, MinhashDedupSignature(signatures, config=config, language=tokenizer)], folder)
        run([MinhashDedupBuckets(signatures, pairs, config=config)], folder, tasks=buckets)
        run([MinhashDedupCluster(pairs, removed, config=config)], folder)
        run([documents, MinhashDedupFilter(removed), note], folder)
    return sorted(set(range(len(texts))) - kept)


def run(steps: list[Any], folder: str, tasks: int = 1) -> None:
    """One block, its tasks one after the other."""
    logs = tempfile.mkdtemp(dir=folder)
    LocalPipelineExecutor(steps, tasks=tasks, workers=1, logging_dir=logs, skip_completed=False).run()


if __name__ == "__main__":
    words, characters = "cmn_Hani", Characters()
    compare_near_duplicates(
        version("datatrove"),
        {
            "datatrove, Chinese words, 0.72": partial(dropped, tokenizer=words, buckets=14, width=8),
            "datatrove, characters, 0.72": partial(dropped, tokenizer=characters, buckets=14, width=8),
            "datatrove, characters, 0.54": partial(dropped, tokenizer=characters, buckets=22, width=5),
        },
    )
