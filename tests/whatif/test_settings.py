"""KEY=VALUE as the parameters take it."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from hypothesis import given
from hypothesis import strategies as st

from kun.config import read_tree
from kun.errors import ConfigError
from kun.whatif.settings import assignment, dotted_keys, moved_since, parse

ROOT = Path(__file__).parents[2]
TREE = read_tree(ROOT / "params.yaml")


def test_values_are_yaml_and_only_differences_count() -> None:
    params, settings = parse(["judge.threshold=0.8", "select.top=1000", "clean.simplify=false", "mix.caps.kun=5"], TREE)
    assert (params.judge.threshold, params.select.top, params.mix.caps) == (0.8, 1000, {"kun": 5})
    assert [(one.key, one.old, one.new) for one in settings] == [
        ("judge.threshold", TREE["judge"]["threshold"], 0.8),
        ("select.top", 1.0, 1000),
        ("mix.caps.kun", None, 5),
    ]
    assert "caps" in TREE["mix"] and TREE["mix"]["caps"] == {}, "the tree stays as it is"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("judge.treshold=0.8", "no parameter `judge.treshold`; nearest: judge.threshold"),
        ("threshold=0.8", "no parameter `threshold`; nearest: .*judge.threshold"),
        ("judge.threshold.x=1", "no parameter `judge.threshold.x`"),
        ("nothing.like.it=1", "no parameter `nothing.like.it`; see params.yaml"),
        ("judge.threshold", "is no setting; write KEY=VALUE"),
        ("judge.threshold=2", "`judge.threshold` is 2.0, but must be between 0 and 1"),
        ("judge.threshold=0.1", "threshold 0.1 is below floor 0.3"),
        ("select.top=[", "is no value in YAML"),
        ("mix.caps.nobody=3", "'nobody' has a cap or a weight, but is none of the sources"),
    ],
)
def test_what_is_refused(word: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("[", r"\[")):
        parse([word], TREE)


@given(st.sampled_from(dotted_keys(TREE)))
def test_a_key_with_its_own_value_changes_nothing(key: str) -> None:
    value = TREE
    for name in key.split("."):
        value = value[name]
    assert parse([f"{key}={json.dumps(value)}"], TREE)[1] == []


@given(st.text(max_size=30), st.text(max_size=10))
def test_any_word_is_a_setting_or_a_clear_error(key: str, value: str) -> None:
    try:
        parse([f"{key}={value}"], TREE)
    except ConfigError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "word",
    [
        "judge.threshold=0.8",
        "select.rank={by: ifd_ppl, descending: true}",
        "select.filters=[{score: p_good, at_least: 0.5}]",
        "select.quotas.forum=5",
        "mix.caps={kun: 3}",
        "select.arms=[random, longest]",
    ],
)
def test_dvc_takes_the_assignment_that_is_printed(tmp_path: Path, word: str) -> None:
    _, (setting,) = parse([word], TREE)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    apply_overrides(tmp_path / "params.yaml", shlex.split(assignment(setting)))
    key, value = setting.key.split("."), read_tree(tmp_path / "params.yaml")
    for name in key:
        value = value[name]
    assert value == setting.new


def test_parameters_that_have_moved_since_the_run_are_named(tmp_path: Path) -> None:
    lock = {"stages": {"pairs": {"params": {"params.yaml": {"pairs": {"min_chars": 20}, "judge.threshold": 0.4}}}}}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock))
    assert moved_since(tmp_path, {"pairs": {"min_chars": 100}, "judge": {"threshold": 0.4}}) == ["pairs"]
    assert moved_since(tmp_path / "never-run", {}) == []
