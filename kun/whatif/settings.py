"""`judge.threshold=0.8` -> the parameters as they would be, and which of them differ."""

import copy
import difflib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kun.config import build_params
from kun.errors import ConfigError
from kun.params import Params

NEAREST = 3
"""Keys that an error names."""


@dataclass(frozen=True)
class Setting:
    """One parameter under another value."""

    key: str
    """Dotted."""
    old: Any
    """None where the key is new: a cap of a source that had none."""
    new: Any


def assignment(setting: Setting) -> str:
    """For `dvc exp run -S`: in the grammar of Hydra, which has no quotes round keys, and ++ before what may hold a new key."""
    force = "++" if setting.old is None or isinstance(setting.new, dict) else ""
    return shlex.quote(f"{force}{setting.key}={_hydra(setting.new)}")


def _hydra(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_hydra(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_hydra, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def moved_since(root: Path, tree: Any) -> list[str]:
    """Parameters, or sections, that are no longer what the stored data were made with, as dvc.lock has it."""
    lock = root / "dvc.lock"
    stages = yaml.safe_load(lock.read_text(encoding="utf-8")).get("stages", {}) if lock.is_file() else {}
    used = [stage.get("params", {}).get("params.yaml", {}) for stage in stages.values()]
    return sorted({key for params in used for key, value in params.items() if _get(tree, key) != value})


def parse(words: Sequence[str], tree: Any) -> tuple[Params, list[Setting]]:
    """The parameters with KEY=VALUE, the value in YAML; ConfigError for a key that does not exist, with the nearest.

    Settings that change nothing are left out.
    """
    changed, settings = copy.deepcopy(tree), {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.strip() or not key.isprintable():
            raise ConfigError(f"{word!r} is no setting; write KEY=VALUE, as in judge.threshold=0.8")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{key}: {text!r} is no value in YAML ({' '.join(str(error).split())})") from None
        settings[key.strip()] = value
        _set(changed, key.strip(), value, tree)
    try:
        params = build_params(changed)
    except ConfigError as error:
        unknown = [key for key in settings if key not in dotted_keys(tree)]
        if unknown and "unknown key" in str(error):
            raise _unknown(unknown[0], tree) from None
        raise ConfigError(str(error).removeprefix("params.yaml: ")) from None
    found = [Setting(key, _get(tree, key), value) for key, value in settings.items()]
    return params, [one for one in found if one.old != one.new or type(one.old) is not type(one.new)]


def dotted_keys(tree: Any, above: str = "") -> list[str]:
    """Every key of a tree of mappings, sections too."""
    found = []
    for name, value in tree.items() if isinstance(tree, dict) else ():
        found += [f"{above}{name}", *dotted_keys(value, f"{above}{name}.")]
    return found


def _set(tree: Any, key: str, value: Any, known: Any) -> None:
    *parents, leaf = key.split(".")
    for name in parents:
        if not isinstance(tree, dict) or name not in tree:
            raise _unknown(key, known)
        tree = tree[name]
    if not isinstance(tree, dict):
        raise _unknown(key, known)
    tree[leaf] = value


def _get(tree: Any, key: str) -> Any:
    for name in key.split("."):
        if not isinstance(tree, dict) or name not in tree:
            return None
        tree = tree[name]
    return tree


def _unknown(key: str, tree: Any) -> ConfigError:
    known = dotted_keys(tree)
    same_name = [one for one in known if one.split(".")[-1] == key.split(".")[-1]]
    near = list(dict.fromkeys([*difflib.get_close_matches(key, known, n=NEAREST, cutoff=0.7), *same_name]))[:NEAREST]
    return ConfigError(f"no parameter `{key}`; " + (f"nearest: {', '.join(near)}" if near else "see params.yaml"))
