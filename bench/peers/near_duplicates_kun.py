"""kun's near-duplicates with the defaults of params.yaml: letters, signatures, comparisons. Runs in kun's own environment."""

from collections.abc import Sequence
from importlib.metadata import version

from common import compare_near_duplicates

from kun.config import load_params
from kun.corpus.letters import comparable
from kun.corpus.minhash import signatures_of
from kun.corpus.neardup import Alike, letters_among, near_duplicates

SETTINGS = load_params().dedup
ALIKE = Alike(SETTINGS.shingle, SETTINGS.threshold, SETTINGS.short_chars)


def dropped(texts: Sequence[str]) -> list[int]:
    """Places of the texts that kun would drop."""
    letters = comparable(texts)
    signatures = signatures_of(letters, SETTINGS.shingle, SETTINGS.bins, SETTINGS.seed)
    twins = near_duplicates(signatures, letters_among(letters), ALIKE)
    return [twin.row for twin in twins]


if __name__ == "__main__":
    compare_near_duplicates(version("kun"), {f"kun, characters, {SETTINGS.threshold}": dropped})
