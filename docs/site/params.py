"""The list in docs/params.md: each key with its type and docstring from kun/params, value and comment from params.yaml."""

import ast
import inspect
import json
import re
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from kun.params import Params

NAMES: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}


@dataclass(frozen=True)
class Knob:
    """One key of params.yaml; `value` is None for the keys of a mapping that the user names."""

    path: str
    kind: str
    value: str | None
    meaning: str
    comment: str


def listed(file: Path) -> str:
    """Markdown: a section for each section of the file, an item for each key, an anchor at each (`#judge-threshold`)."""
    text = file.read_text(encoding="utf-8")
    values, comments = yaml.safe_load(text), dict(comments_of(yaml.compose(text), text.splitlines()))
    hints, parts = get_type_hints(Params, include_extras=True), []
    single = [name for name in values if not is_dataclass(hints[name])]
    parts += [entry(knob(Params, name, name, values[name], comments)) for name in single]
    for name in values:
        if name not in single:
            parts.append(f"## {name}\n\n{escaped(inspect.getdoc(hints[name]) or '')}")
            parts += [entry(row) for row in knobs(hints[name], name, values[name], comments)]
    return "\n\n".join(parts) + "\n"


def knobs(section: type, where: str, values: dict[str, Any] | None, comments: dict[str, str]) -> Iterator[Knob]:
    """The keys of a dataclass, those of dataclasses in it behind their own; `values` None: of a mapping's items."""
    hints = get_type_hints(section, include_extras=True)
    for field in fields(section):
        path, hint = f"{where}.{field.name}", hints[field.name]
        value = None if values is None else values[field.name]
        inner = get_args(hint)[1] if get_origin(hint) is dict else None
        if is_dataclass(hint):
            yield from knobs(hint, path, value, comments)
        else:
            yield knob(section, path, field.name, value, comments)
        if is_dataclass(inner):
            yield from knobs(inner, f"{path}.NAME", None, comments)


def knob(section: type, path: str, name: str, value: Any, comments: dict[str, str]) -> Knob:
    hint = get_type_hints(section, include_extras=True)[name]
    shown = None if ".NAME." in path else json.dumps(value, ensure_ascii=False)
    return Knob(path, kind(hint), shown, docstrings(section).get(name, ""), comments.get(path, ""))


def entry(row: Knob) -> str:
    """One item of a definition list: key and value, then type and docstring, then the comment as it stands in the file."""
    anchor = re.sub(r"[._]", "-", row.path)  # what Sphinx makes of it anyway
    value = "" if row.value is None else f" = {code(row.value)}"
    comment = f"\n: {code(f'# {row.comment}')}" if row.comment else ""
    return f"[`{row.path}`]{{#{anchor}}}{value}\n: *{escaped(row.kind)}.* {escaped(row.meaning)}{comment}"


def kind(hint: Any) -> str:
    """A type hint in words: `number from 0 to 1`, `one of zh, en`."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        low, high = args[1:]
        limits = f"{'above' if low is None else low} to {high}" if high is not None else f"at least {low}"
        return f"{kind(args[0])}, {limits}"
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}" if len(args) > 1 else str(args[0])
    if origin is list:
        return f"list ({kind(args[0])})" if args else "list"
    if origin is dict:
        inner = args[1]
        return "mapping" if is_dataclass(inner) else f"mapping: name to {kind(inner)}"
    if origin in (Union, types.UnionType):
        return " or ".join(kind(arg) for arg in args)
    return NAMES[hint]


def docstrings(section: type) -> dict[str, str]:
    """Field -> the docstring under it, in one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0].body  # type: ignore[attr-defined]
    found = {}
    for field, after in pairwise(body):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            found[field.target.id] = " ".join(str(after.value.value).split())  # type: ignore[attr-defined]
    return found


def comments_of(node: yaml.MappingNode, lines: list[str], where: str = "") -> Iterator[tuple[str, str]]:
    """Key path -> the comment that ends its line; that of a mapping over several lines stands behind its key."""
    for key, value in node.value:
        path = f"{where}.{key.value}" if where else key.value
        same_line = value.end_mark.line == key.end_mark.line
        end = value.end_mark if same_line else key.end_mark
        if found := re.match(r":?\s+#\s*(.*)", lines[end.line][end.column :]):
            yield path, found[1].strip()
        if isinstance(value, yaml.MappingNode):
            yield from comments_of(value, lines, path)


def code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def escaped(text: str) -> str:
    """Text of comments and docstrings as Markdown: what stands between backticks is code, all else is meant literally."""
    parts = text.split("`")
    plain = [re.sub(r"([\\*_\[\]<>|{}#~$])", r"\\\1", part) for part in parts[::2]]
    return "".join(
        part + (code(inside) if inside else "") for part, inside in zip(plain, [*parts[1::2], ""], strict=False)
    )
