import json
from pathlib import Path

import polars as pl
import pytest

from kun.corpus.items import Reject
from kun.dynosaur.sources import Found, Source, read_folders, read_list, read_steps
from kun.errors import InputError
from tests.dynosaur.made_datasets import fruit_rows, write_dataset_folder


def found(root: Path, max_rows: int = 200) -> list[Found]:
    return list(read_folders(root / "data/datasets", max_rows))


def refused(root: Path) -> dict[str, str]:
    return {item.origin: item.reason for item in found(root) if isinstance(item, Reject)}


def sources(root: Path, max_rows: int = 200) -> dict[str, Source]:
    return {item.name: item for item in found(root, max_rows) if isinstance(item, Source)}


def test_a_folder_gives_its_card_and_first_rows(tmp_path: Path) -> None:
    write_dataset_folder(tmp_path, "fruit")
    source = sources(tmp_path, max_rows=4)["fruit"]
    assert source.rows == fruit_rows()[:4]
    assert source.card.front["license"] == "cc0-1.0"
    assert source.columns == ["id", "名称", "样子", "类别"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "parquet"])
def test_every_format_of_tables_is_read(tmp_path: Path, suffix: str) -> None:
    folder = write_dataset_folder(tmp_path, "fruit")
    (folder / "rows.jsonl").unlink()
    frame = pl.DataFrame(fruit_rows())
    path = folder / f"rows.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(fruit_rows(), ensure_ascii=False), encoding="utf-8")
    elif suffix == "parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="," if suffix == "csv" else "\t")
    assert [row["名称"] for row in sources(tmp_path)["fruit"].rows] == [row["名称"] for row in fruit_rows()]


def test_what_cannot_be_read_is_named_with_its_place(tmp_path: Path) -> None:
    folder = write_dataset_folder(tmp_path, "fruit")
    (folder / "broken.parquet").write_bytes(b"PAR1 no table")
    (folder / "loader.py").write_text("print()")
    (folder / "test.jsonl").write_text('{"名称": "李"}\n', encoding="utf-8")
    (folder / "more.jsonl").write_bytes('{"名称": "李'.encode()[:-1] + b"\xff\n{}\n")
    write_dataset_folder(tmp_path, "bare", card="")
    write_dataset_folder(tmp_path, "odd", card="---\na: [\n---\n")
    (write_dataset_folder(tmp_path, "bytes") / "README.md").write_bytes(b"---\nlicense: mit\n---\n\xff\xfe\xfa")
    (tmp_path / "data/datasets/notes.txt").write_text("x")
    assert refused(tmp_path) == {
        "fruit/broken.parquet:1": "malformed_parquet",
        "fruit/loader.py": "unknown_format",
        "fruit/test.jsonl": "test_split",
        "fruit/more.jsonl:1": "undecodable",
        "bare": "no_card",
        "odd": "malformed_card",
        "bytes": "undecodable_card",
        "notes.txt": "no_folder",
    }
    assert set(sources(tmp_path)) == {"fruit"}


def test_configurations_are_datasets_of_their_own(tmp_path: Path) -> None:
    card = "---\nlicense: mit\nconfigs:\n- config_name: a\n  data_files: a.jsonl\n- config_name: b\n  data_files:\n" + (
        "  - split: train\n    path: part/b-*.jsonl\n---\n"
    )
    folder = write_dataset_folder(tmp_path, "both", card=card)
    (folder / "a.jsonl").write_text('{"x": 1}\n')
    (folder / "part").mkdir()
    (folder / "part/b-0.jsonl").write_text('{"y": 2}\n')
    read = sources(tmp_path)
    assert {name: source.rows for name, source in read.items()} == {"both-a": [{"x": 1}], "both-b": [{"y": 2}]}


def test_training_data_comes_first(tmp_path: Path) -> None:
    folder = write_dataset_folder(tmp_path, "fruit")
    (folder / "train.jsonl").write_text('{"名称": "李"}\n', encoding="utf-8")
    assert sources(tmp_path, max_rows=1)["fruit"].rows == [{"名称": "李"}]


def test_a_card_in_another_encoding_is_read(tmp_path: Path) -> None:
    folder = write_dataset_folder(tmp_path, "fruit", card="")
    text = "---\nlicense: mit\nlanguage: zh\n---\n## 数据集简介\n常见蔬果的名称和样子，由村民记录。\n"
    (folder / "README.md").write_bytes(text.encode("gb18030"))
    assert sources(tmp_path)["fruit"].card.summary == "常见蔬果的名称和样子，由村民记录。"


def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dynosaur.path: .*datasets is no folder"):
        found(tmp_path)


def test_lists_of_cards_give_sources_without_rows(tmp_path: Path) -> None:
    lines = [
        {"dataset": "tea", "description": "<p>Kinds of tea.</p>", "features": [["id", "int32"], ["name", "string"]]},
        {"dataset": "twice", "features": ["a", "a", "b"], "license": "mit", "homepage": ["https://example.org"]},
        {"description": "nameless"},
    ]
    path = tmp_path / "cards.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\nno json\n", encoding="utf-8")
    tea, twice, nameless, broken = read_list(path, "cards.jsonl")
    assert isinstance(tea, Source) and (tea.card.summary, tea.columns) == ("Kinds of tea.", ["id", "name"])
    assert isinstance(twice, Source) and (twice.columns, twice.website) == (["a", "b"], "https://example.org")
    assert isinstance(nameless, Reject) and (nameless.origin, nameless.reason) == ("cards.jsonl:3", "no_name")
    assert isinstance(broken, Reject) and broken.reason == "malformed_json"
    with pytest.raises(InputError, match="does not exist"):
        list(read_list(tmp_path / "none.jsonl", "none.jsonl"))


def test_steps_say_when_a_dataset_came(tmp_path: Path) -> None:
    assert read_steps(tmp_path) == {}
    place = tmp_path / "steps.yaml"
    place.write_text("- [tea, rice]\n- [fruit]\n")
    assert read_steps(tmp_path) == {"tea": 1, "rice": 1, "fruit": 2}
    for text, told in (("- [tea]\n- [tea]\n", "twice"), ("tea: 1\n", "a list"), ("- [", "not valid YAML")):
        place.write_text(text)
        with pytest.raises(InputError, match=told):
            read_steps(tmp_path)
