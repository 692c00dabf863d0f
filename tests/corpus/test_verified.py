from pathlib import Path

import polars as pl

from kun.corpus.neardup import UNLIKE
from kun.corpus.verified import read_verified, write_verified

KEYS = pl.Series(["a", "b", "c", "d"])
PAIRS = {(1, 0): 0.75, (3, 1): UNLIKE}


def test_pairs_are_found_by_the_content_of_the_texts(tmp_path: Path) -> None:
    file = tmp_path / "verified" / "pairs.parquet"
    assert read_verified(file, KEYS) == {}
    write_verified(file, KEYS, PAIRS)
    assert read_verified(file, KEYS) == PAIRS
    assert read_verified(file, pl.Series(["d", "new", "b", "a"])) == {(2, 3): 0.75, (0, 2): UNLIKE}
    assert read_verified(file, pl.Series(["b", "c", "d"])) == {(2, 0): UNLIKE}, "a is gone"
    write_verified(file, KEYS, {})
    assert read_verified(file, KEYS) == {}
    assert [path.name for path in file.parent.iterdir()] == ["pairs.parquet"]


def test_a_spoilt_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "pairs.parquet"
    write_verified(file, KEYS, PAIRS)
    file.write_bytes(file.read_bytes()[:-9])
    assert read_verified(file, KEYS) == {}
