"""datasketch's MinHashLSH on character 5-grams, 128 permutations: with its usual threshold and with that of kun."""

from collections.abc import Sequence
from functools import partial

import datasketch
from common import compare_near_duplicates
from datasketch import MinHash, MinHashLSH


def dropped(texts: Sequence[str], threshold: float) -> list[int]:
    """Texts for which the index of the earlier ones has an answer. The index alone decides, as in its documentation."""
    index, found = MinHashLSH(threshold=threshold, num_perm=128), []
    for place, text in enumerate(texts):
        signature = MinHash(num_perm=128)
        signature.update_batch([gram.encode() for gram in {text[at : at + 5] for at in range(len(text) - 4)}])
        if index.query(signature):
            found.append(place)
        else:
            index.insert(place, signature)
    return found


if __name__ == "__main__":
    compare_near_duplicates(
        datasketch.__version__,
        {f"datasketch, characters, {threshold}": partial(dropped, threshold=threshold) for threshold in (0.8, 0.5)},
    )
