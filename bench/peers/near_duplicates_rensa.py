"""rensa's R-MinHash with its index on character 5-grams, 128 permutations; signatures check what the index proposes.

Its batch pipeline `rho` is left out: it flags every text that has a twin, both sides alike, and so does not say which to drop.
"""

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version

from common import compare_near_duplicates
from rensa import RMinHash, RMinHashLSH

BANDS = {0.8: 16, 0.5: 32}  # bands by which pairs as similar as the threshold meet with 95% and 87% probability


def dropped(texts: Sequence[str], threshold: float) -> list[int]:
    """Texts whose signature resembles that of an earlier one that stays."""
    index, found = RMinHashLSH(threshold=threshold, num_perm=128, num_bands=BANDS[threshold]), []
    signatures = []
    for place, text in enumerate(texts):
        signature = RMinHash(num_perm=128, seed=7)
        signature.update(list({text[at : at + 5] for at in range(len(text) - 4)}))
        signatures.append(signature)
        if any(signatures[twin].jaccard(signature) >= threshold for twin in index.query(signature)):
            found.append(place)
        else:
            index.insert(place, signature)
    return found


if __name__ == "__main__":
    compare_near_duplicates(
        version("rensa"),
        {f"rensa, characters, {threshold}": partial(dropped, threshold=threshold) for threshold in BANDS},
    )
