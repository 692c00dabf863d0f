from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kun.config import load_params
from kun.errors import ConfigError
from kun.params import Params
from tests.made import ROOT

FILE = ROOT / "params.yaml"
TREE = yaml.safe_load(FILE.read_text(encoding="utf-8"))

LONGEST = max(TREE[section]["max_new_tokens"] for section in ("label", "judge", "polish", "reflection"))


def written(folder: Path, tree: Any) -> Path:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def tree_with(dotted: str, value: Any) -> dict[str, Any]:
    tree = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    *parents, leaf = dotted.split(".")
    section = tree
    for parent in parents:
        section = section[parent]
    section[leaf] = value
    return dict(tree)


def refusal(folder: Path, tree: Any) -> str:
    """The message for a file that cannot be used; it has one line."""
    with pytest.raises(ConfigError) as caught:
        load_params(written(folder, tree))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_shipped_file_is_valid_and_its_values_arrive() -> None:
    params = load_params(FILE)

    def compare(section: Any, tree: dict[str, Any]) -> None:
        assert [field.name for field in fields(section)] == list(tree), "sections and keys in the order of the code"
        for name, value in tree.items():
            same(getattr(section, name), value)

    def same(got: Any, value: Any) -> None:
        if is_dataclass(got):
            compare(got, value)
        elif isinstance(got, dict):
            assert list(got) == list(value)
            for key, inner in got.items():
                same(inner, value[key])
        else:
            assert got == value

    compare(params, TREE)


@pytest.mark.parametrize(
    ("dotted", "value", "message"),
    [
        ("judge.treshold", 0.5, "params.yaml: unknown key `judge.treshold`; did you mean `threshold`?"),
        ("engin", {}, "params.yaml: unknown key `engin`; did you mean `engine`?"),
        ("check.zzz", 1, "params.yaml: unknown key `check.zzz`; known keys: max_examples"),
        ("train.label.epoch", 1, "params.yaml: unknown key `train.label.epoch`; did you mean `epochs`?"),
        ("judge.threshold", "high", "params.yaml: `judge.threshold` must be of type float, not 'high'"),
        ("judge.limit", 1.5, "params.yaml: `judge.limit` must be of type int, not 1.5"),
        ("judge.limit", True, "params.yaml: `judge.limit` must be of type int, not True"),
        ("judge.threshold", True, "params.yaml: `judge.threshold` must be of type float, not True"),
        ("clean.simplify", 1, "params.yaml: `clean.simplify` must be of type bool, not 1"),
        ("judge.threshold", None, "params.yaml: `judge.threshold` must be of type float, not None"),
        ("model.base", 7, "params.yaml: `model.base` must be of type str, not 7"),
        ("judge.threshold", 1.01, "params.yaml: `judge.threshold` is 1.01, but must be between 0 and 1"),
        ("judge.limit", -1, "params.yaml: `judge.limit` is -1, but must be at least 0"),
        ("engine.max_rows", 0, "params.yaml: `engine.max_rows` is 0, but must be at least 1"),
        ("train.learning_rate", float("nan"), "params.yaml: `train.learning_rate` is nan, but must be between 0 and 1"),
        ("judge.threshold", float("inf"), "params.yaml: `judge.threshold` is inf, but must be between 0 and 1"),
        (
            "engine.backend",
            "hff",
            "params.yaml: `engine.backend` is 'hff', but must be one of hf, openai, fake; did you mean `hf`?",
        ),
        (
            "engine.backend",
            "openai",
            "params.yaml: engine: backend openai needs server.url and server.models",
        ),
        (
            "engine.server.url",
            "http://me:secret@host/v1",
            "params.yaml: engine.server: url must be http(s)://HOST:PORT/v1 without user and password",
        ),
        (
            "engine.server.key",
            "sk-proj-0123",
            "params.yaml: engine.server: key must be the name of an environment variable, never the key itself",
        ),
        (
            "engine.server.models",
            {"judge": "m"},
            "params.yaml: engine.server: models: unknown model `judge`; known models: base, teacher, label, chat",
        ),
        ("engine.server.max_cost", 5, "params.yaml: engine.server: max_cost needs price_in and price_out"),
        ("engine.server.extra", [], "params.yaml: `engine.server.extra` must be a mapping, not []"),
        ("ingest.text_fields", "text", "params.yaml: `ingest.text_fields` must be a list, not 'text'"),
        ("ingest.text_fields", ["text", 3], "params.yaml: `ingest.text_fields[1]` must be of type str, not 3"),
        ("ingest.licences", ["CC0"], "params.yaml: `ingest.licences` must be a mapping, not ['CC0']"),
        ("seeds.fields", {"output": "text"}, "params.yaml: `seeds.fields.output` must be a list, not 'text'"),
        ("judge", [], "params.yaml: judge must be a mapping, not []"),
        ("train.lora_layers", 0, "params.yaml: `train.lora_layers` is 0, but must be at least 1"),
        ("train.lora_layers", "some", "params.yaml: `train.lora_layers` must be of type int, not 'some'"),
        ("train.lora_layers", True, "params.yaml: `train.lora_layers` must be of type int, not True"),
        ("train.label.tasks", {"label": -1}, "params.yaml: `train.label.tasks.label` is -1, but must be at least 0"),
        (
            "train.chat.tasks",
            {"jugde": 1},
            "params.yaml: train.chat: unknown task `jugde`; known tasks: label, answer, judge, polish",
        ),
        (
            "judge.floor",
            1.0,
            f"params.yaml: judge: threshold {TREE['judge']['threshold']} is below floor 1.0: such rows are never polished",
        ),
        ("corpus.low_percentile", 1.0, "params.yaml: corpus: low_percentile must be below high_percentile"),
        (
            "engine.context",
            LONGEST,
            f"params.yaml: engine.context {LONGEST} leaves no room for a prompt beside {LONGEST} new tokens",
        ),
    ],
)
def test_a_mistake_names_the_key_and_the_fix(tmp_path: Path, dotted: str, value: Any, message: str) -> None:
    assert refusal(tmp_path, tree_with(dotted, value)).startswith(message)


def test_each_missing_key_and_section_is_named(tmp_path: Path) -> None:
    new = "after an update of kun, `kun upgrade` brings the new parameters"
    for name in TREE:
        tree = {key: value for key, value in TREE.items() if key != name}
        assert refusal(tmp_path, tree) == f"params.yaml: `{name}` is missing; {new}"
    tree = tree_with("judge", {key: value for key, value in TREE["judge"].items() if key != "mode"})
    assert refusal(tmp_path, tree) == f"params.yaml: `judge.mode` is missing; {new}"


def test_whole_numbers_pass_for_floats_and_nothing_else_is_converted(tmp_path: Path) -> None:
    params = load_params(written(tmp_path, tree_with("judge.threshold", 1)))
    assert params.judge.threshold == 1.0 and isinstance(params.judge.threshold, float)
    assert "'0.5'" in refusal(tmp_path, tree_with("judge.threshold", "0.5"))
    for layers in ("all", 1, 9):
        assert load_params(written(tmp_path, tree_with("train.lora_layers", layers))).train.lora_layers == layers


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1\nb: 2\n", "is not valid YAML: "),
        (b"a: b: c\n", "is not valid YAML: "),
        (b"\xff\xfe\x00", "is not valid YAML: "),
        (b"a: \x07\n", "is not valid YAML: "),
        (b"", "params.yaml: the file must be a mapping, not None"),
        (b"- 1\n", "params.yaml: the file must be a mapping, not [1]"),
        (b"judge:\n\tmode: x\n", "is not valid YAML: "),
    ],
)
def test_what_is_no_mapping_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_params(path)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("judge:\n  mode: verdict\n  lang zh\n  limit: 0\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 4") as caught:
        load_params(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not found; run kun in the folder that holds params\.yaml and dvc\.yaml"):
        load_params(tmp_path / "params.yaml")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4) | st.integers(0, 3), inner, max_size=2)
    ),
    max_leaves=4,
)


def leaves(tree: dict[str, Any], where: str = "") -> list[str]:
    found = []
    for key, value in tree.items():
        dotted = f"{where}.{key}" if where else key
        found += [dotted, *(leaves(value, dotted) if isinstance(value, dict) else [])]
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dotted=st.sampled_from(leaves(TREE)), value=VALUES, key=st.none() | st.text(min_size=1, max_size=5))
def test_whatever_stands_in_the_file_it_loads_or_is_refused_in_one_line(
    tmp_path: Path, dotted: str, value: Any, key: str | None
) -> None:
    """Any value at any place, and any unknown key: never a traceback, never two lines."""
    tree = tree_with(dotted, value) if key is None else tree_with(f"judge.{key}" if "." not in key else "judge", value)
    try:
        params = load_params(written(tmp_path, tree))
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1
        assert str(error).startswith("params.yaml: ") or "is not valid YAML" in str(error)
    else:
        assert isinstance(params, Params)


def test_every_knob_is_explained_in_the_file() -> None:
    """One home for a knob: the section of its stage; only what says where work runs is a top-level value."""
    assert [key for key, value in TREE.items() if not isinstance(value, dict)] == ["launch", "executor"]
    sections: Callable[[str], bool] = FILE.read_text(encoding="utf-8").__contains__
    assert all(sections(f"\n{name}:") for name in TREE)
