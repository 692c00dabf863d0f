from pathlib import Path

import polars as pl
import pytest

from kun.errors import InputError
from kun.tables import shards
from kun.tables.shards import read_dataset, write_dataset, write_json, write_text

SCHEMA = {"id": pl.String, "n": pl.Int64}


def table(rows: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(rows), "id": [f"{n}" for n in range(rows)], "more": ["x"] * rows})


@pytest.mark.parametrize(("rows", "files"), [(0, 1), (1, 1), (9, 1), (10, 1), (11, 2), (35, 4)])
def test_shards_hold_all_rows_in_order_and_only_the_columns_of_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, files: int
) -> None:
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 10)
    write_dataset(tmp_path / "made", table(rows), SCHEMA)
    assert [path.name for path in shards.shards(tmp_path / "made")] == [f"part-{n:05d}.parquet" for n in range(files)]
    assert read_dataset(tmp_path / "made").equals(table(rows).select("id", "n"))
    assert read_dataset(tmp_path / "made", ["n"]).columns == ["n"]


def test_a_dataset_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller rewrite must not leave shards of the larger one behind."""
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 10)
    write_dataset(tmp_path / "made", table(35), SCHEMA)
    write_dataset(tmp_path / "made", table(5), SCHEMA)
    assert read_dataset(tmp_path / "made").height == 5
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_failed_write_leaves_the_old_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path / "made", table(3), SCHEMA)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(OSError, match="No space"):
        write_dataset(tmp_path / "made", table(5), SCHEMA)
    assert read_dataset(tmp_path / "made").height == 3
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_missing_column_is_an_error_before_anything_is_replaced(tmp_path: Path) -> None:
    write_dataset(tmp_path / "made", table(3), SCHEMA)
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="n"):
        write_dataset(tmp_path / "made", table(3).drop("n"), SCHEMA)
    assert read_dataset(tmp_path / "made").height == 3


def test_a_missing_dataset_names_the_folder_and_the_fix(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `dvc repro`") as caught:
        read_dataset(tmp_path / "nothing")
    assert str(tmp_path / "nothing") in str(caught.value)


def test_text_is_replaced_in_one_step_and_stays_readable_by_people(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "counts.json"
    write_json(path, {"b": "河", "a": 1})
    assert path.read_text(encoding="utf-8") == '{\n  "b": "河",\n  "a": 1\n}\n'
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert '"河"' in path.read_text(encoding="utf-8"), "a failed write keeps the old file"
    assert [file.name for file in path.parent.iterdir()] == ["counts.json"]


def test_a_spoilt_shard_is_told_in_one_line(tmp_path: Path) -> None:
    write_dataset(tmp_path / "seeds", table(9), SCHEMA)
    (shard,) = (tmp_path / "seeds").iterdir()
    shard.write_bytes(b"PAR1" + shard.read_bytes()[4:40] + b"PAR1")
    with pytest.raises(InputError, match=r"seeds cannot be read .*dvc repro"):
        read_dataset(tmp_path / "seeds")
