"""params.yaml -> frozen dataclasses, or one line that names the key and the fix."""

import difflib
import re
import types
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from kun.errors import ConfigError
from kun.params import Params


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and validate the whole file; raises ConfigError for a missing file, unknown or missing key, or bad value."""
    return build_params(read_tree(path))


def read_tree(path: Path = Path("params.yaml")) -> Any:
    """What the file holds, not validated; ConfigError when it is missing or no YAML."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} not found; run kun in the folder that holds params.yaml and dvc.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def build_params(tree: Any) -> Params:
    """Validate what params.yaml holds; ConfigError for an unknown or missing key, or a bad value."""
    params: Params = _build(Params, tree, "")
    return params


def _build(kind: Any, raw: Any, where: str) -> Any:
    """Make a dataclass of type `kind` from the mapping `raw`, found at the dotted key `where`."""
    if not isinstance(raw, dict):
        raise ConfigError(f"params.yaml: {where or 'the file'} must be a mapping, not {raw!r}")
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind)]
    for key in raw:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(names)}"
            raise ConfigError(f"params.yaml: unknown key `{_dotted(where, key)}`; {hint}")
    for name in names:
        if name not in raw:
            hint = "after an update of kun, `kun upgrade` brings the new parameters"
            raise ConfigError(f"params.yaml: `{_dotted(where, name)}` is missing; {hint}")
    values = {name: _value(hints[name], raw[name], _dotted(where, name)) for name in names}
    try:
        return kind(**values)
    except ValueError as error:
        message = " ".join(str(error).split())
        raise ConfigError(f"params.yaml: {where}: {message}" if where else f"params.yaml: {message}") from None


def _value(hint: Any, raw: Any, where: str) -> Any:
    """Check `raw` against a type hint; ints pass for floats, nothing else is converted."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return raw
    if is_dataclass(hint):
        return _build(hint, raw, where)
    if origin is Annotated:
        value = _value(args[0], raw, where)
        low, high = args[1:]
        if not ((low is None or value >= low) and (high is None or value <= high)):  # so that nan is outside
            limits = f"at least {low}" if high is None else f"between {low} and {high}"
            raise ConfigError(f"params.yaml: `{where}` is {value}, but must be {limits}")
        return value
    if origin is Literal:
        if raw not in args:
            near = difflib.get_close_matches(str(raw), [str(a) for a in args], n=1)
            hint_text = f"; did you mean `{near[0]}`?" if near else ""
            raise ConfigError(
                f"params.yaml: `{where}` is {raw!r}, but must be one of {', '.join(map(str, args))}{hint_text}"
            )
        return raw
    if origin is list:
        if not isinstance(raw, list):
            raise ConfigError(f"params.yaml: `{where}` must be a list, not {raw!r}")
        return [_value(args[0], item, f"{where}[{index}]") for index, item in enumerate(raw)]
    if origin is dict:
        if not isinstance(raw, dict):
            raise ConfigError(f"params.yaml: `{where}` must be a mapping, not {raw!r}")
        return {str(key): _value(args[1], item, _dotted(where, key)) for key, item in raw.items()}
    if origin in (Union, types.UnionType):
        return _first_that_fits(args, raw, where)
    if hint is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if hint is float and isinstance(raw, str) and re.fullmatch(r"\d+e[+-]?\d+", raw):
        return float(raw)  # YAML 1.1 takes 1e-05 for text, and that is how DVC writes it
    if not isinstance(raw, hint) or (isinstance(raw, bool) and hint is not bool):
        raise ConfigError(f"params.yaml: `{where}` must be of type {hint.__name__}, not {raw!r}")
    return raw


def _first_that_fits(options: tuple[Any, ...], raw: Any, where: str) -> Any:
    problems = []
    for option in options:
        try:
            return _value(option, raw, where)
        except ConfigError as error:
            problems.append(str(error))
    raise ConfigError(" or ".join(problems))


def _dotted(where: str, key: object) -> str:
    name = str(key) if str(key).isprintable() else repr(key)
    return f"{where}.{name}" if where else name
