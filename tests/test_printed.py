"""Commands printed in the documentation are ones that exist: each is read by the parser of its own program, and not run.

A command that asks for more than a machine without GPU and network says so in a comment behind it or above it, in the
words of docs/how-to.md: `# needs GPUs`, `# needs a hub`; in Chinese pages `# 需要 GPU`.

What printed Python imports is there, too.
"""

import argparse
import ast
import importlib
import re
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from kun.cli import main
from tests.copies import ROOT

SHELLS = ("", "sh", "bash", "shell", "console")
"""Languages of blocks that hold commands, most without one."""
WHATEVER = "$@"
"""In a script: the words that it is called with."""
PROGRAMS = ("kun", "dvc", "make")
ENDS = {"&&", "||", "|", ";", "&", ">", ">>", "<"}
ASKS = re.compile(
    r"accelerate launch|\bRAY_ADDRESS=|\bHF_ENDPOINT=|--model \w+/\w|\bkun publish .*--yes|\b(push|pull|get|fetch)\b.*(s3|ssh|hf)://"
)
"""GPUs or several machines, a cluster, a hub, a server of files. A remote is only written down by `dvc remote add`."""
NEEDS = re.compile(r"#.*(\bneeds? |需要)")


@dataclass(frozen=True)
class Line:
    """One line of a block, with those that a backslash joins to it; `above` is the comment before it, or ""."""

    text: str
    above: str


def pages() -> list[str]:
    told = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in told.splitlines() if "/" not in name or name.startswith(("docs/", "bench/"))]


def blocks(markdown: str, languages: tuple[str, ...]) -> Iterator[str]:
    for block in re.finditer(r"^( *)```(\w*)\n(.*?)^\1```", markdown, re.MULTILINE | re.DOTALL):
        if block[2] in languages:
            yield textwrap.dedent(block[3])


def lines(markdown: str) -> Iterator[Line]:
    for block in blocks(markdown, SHELLS):
        above = ""
        for text in block.replace("\\\n", " ").splitlines():
            plain = text.strip().removeprefix("$ ")
            yield Line(plain, above)
            above = plain if plain.startswith("#") else ""


def commands(text: str) -> Iterator[list[str]]:
    """Words of the commands of our programs in a line of shell, from the program on."""
    if not re.match(rf"([A-Z_]+=\S+ )*(exec )?(\S*/)?({'|'.join(PROGRAMS)}|accelerate launch|python -m kun) ", text):
        return
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    part: list[str] = []
    for word in [*lexer, ";"]:
        if word not in ENDS:
            part.append(word)
        elif part:
            found = program(part)
            if found and WHATEVER not in found:
                yield found
            part = [] if word not in (">", ">>", "<") else ["to"]


def program(words: list[str]) -> list[str]:
    """`RAY_ADDRESS=... .venv/bin/kun label` and `accelerate launch ... -m kun label` are `kun label`; [] for other programs."""
    while words and re.fullmatch(r"[A-Z_]+=.*|exec", words[0]):
        words = words[1:]
    if "-m" in words and words[words.index("-m") + 1 :][:1] == ["kun"]:
        words = words[words.index("-m") + 1 :]
    name = Path(words[0]).name if words else ""
    return [name, *words[1:]] if name in PROGRAMS else []


def fault(words: list[str]) -> str:
    """What is wrong with a command, or ""."""
    try:
        {"kun": read_kun, "dvc": read_dvc, "make": read_make}[words[0]](words[1:])
    except (click.ClickException, ValueError) as error:
        return f"{shlex.join(words)}: {getattr(error, 'message', error)}"
    return ""


def read_kun(words: list[str], command: click.Command = main, parent: click.Context | None = None) -> None:
    """Options, choices and the number of arguments, by click; no callback and no command runs, no path must exist."""
    context = click.Context(command, parent=parent, info_name=command.name, **command.context_settings)
    given, rest, _ = command.make_parser(context).parse_args(list(words))
    for param in command.params:
        if isinstance(param.type, click.Choice) and isinstance(given.get(param.name), str):
            param.type.convert(given[param.name], param, context)
        if param.required and param.value_is_missing(given.get(param.name or "")) and "--help" not in words:
            raise ValueError(f"lacks {param.human_readable_name}")
    if isinstance(command, click.Group):
        if rest:
            verb, inner, behind = command.resolve_command(context, rest)
            assert inner is not None, verb
            read_kun(behind, inner, context)
    elif rest:
        raise ValueError(f"got unexpected {rest}")
    for key in re.findall(r"^([\w.]+)=", "\n".join(words), re.MULTILINE):
        known_key(key)


def read_dvc(words: list[str]) -> None:
    from dvc.cli import DvcParserError
    from dvc.cli.parser import get_main_parser

    try:
        said = get_main_parser().parse_args(words)
    except DvcParserError as error:
        raise ValueError(f"dvc does not know it ({error})") from None
    if words[0] == "repro" or words[:2] == ["exp", "run"]:
        for target in said.targets:
            known_target(target)
        for change in getattr(said, "set_param", None) or []:
            known_key(change.partition("=")[0].lstrip("~+"))


def read_make(words: list[str]) -> None:
    known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("-j", type=int)
    parser.add_argument("targets", nargs="*")
    for target in parser.parse_args(words).targets:
        if "=" not in target and target not in known:
            raise ValueError(f"the Makefile has no {target}")


@cache
def parameters() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")))


def known_key(dotted: str) -> None:
    """A key of params.yaml, or a name in one of its mappings that the user fills."""
    value: Any = parameters()
    for name in dotted.split("."):
        if not isinstance(value, dict) or (value and name not in value):
            raise ValueError(f"params.yaml has no {dotted}")
        value = value.get(name, {})


def known_target(target: str) -> None:
    """A stage, `file:stage`, or a file of stages; an item of a loop counts as its stage."""
    file, _, stage = target.rpartition(":") if ":" in target else (target, "", "")
    if not (ROOT / file).is_file():
        file, stage = "dvc.yaml", target
    stages = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["stages"]
    if stage and stage.partition("@")[0] not in stages:
        raise ValueError(f"{file} has no stage {stage}")


def absent(code: str) -> Iterator[str]:
    """What a block of Python imports and what is not there."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if not there(alias.name))
        elif isinstance(node, ast.ImportFrom):
            yield from (
                f"{node.module}.{alias.name}" for alias in node.names if not there(str(node.module), alias.name)
            )


def there(module: str, name: str = "") -> bool:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    return not name or hasattr(found, name) or there(f"{module}.{name}")


@pytest.mark.parametrize("page", pages())
def test_printed_commands_exist(page: str) -> None:
    markdown = (ROOT / page).read_text(encoding="utf-8")
    found = [fault(words) for line in lines(markdown) for words in commands(line.text)]
    assert list(filter(None, found)) == []


@pytest.mark.parametrize("page", pages())
def test_printed_imports_are_there(page: str) -> None:
    markdown = (ROOT / page).read_text(encoding="utf-8")
    assert [name for code in blocks(markdown, ("python",)) for name in absent(code)] == []


def test_an_import_of_nothing_would_be_seen() -> None:
    page = """
- In a list:

  ```python
  import polars as pl, no_such_module
  from kun.report import scores
  from kun.report.scores import agreement, no_such_name
  ```
"""
    found = [name for code in blocks(page, ("python",)) for name in absent(code)]
    assert found == ["no_such_module", "kun.report.scores.no_such_name"]


@pytest.mark.parametrize("page", pages())
def test_commands_that_need_more_than_this_machine_say_so(page: str) -> None:
    markdown = (ROOT / page).read_text(encoding="utf-8")
    silent = [
        line.text
        for line in lines(markdown)
        if any(commands(line.text))
        and ASKS.search(line.text.partition(" #")[0])
        and not NEEDS.search(f"{line.text}\n{line.above}")
    ]
    assert silent == []


def test_the_documentation_has_commands_of_every_program() -> None:
    markdown = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in pages() if page != "docs/cli.md")
    found = [words[0] for line in lines(markdown) for words in commands(line.text)]
    assert all(found.count(name) >= 5 for name in PROGRAMS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kun whi", "kun whi: No such command 'whi'."),
        ("kun why --sauce forum", "kun why --sauce forum: No such option"),
        ("kun label now", "kun label now: got unexpected ['now']"),
        ("kun train tchat", "kun train tchat: 'tchat' is not one of"),
        ("kun check", "kun check: lacks DATASET"),
        ("cd x && dvc repro", ""),
        ("dvc repro lable", "dvc repro lable: dvc.yaml has no stage lable"),
        ("dvc exp run -S judge.treshold=0.5", "dvc exp run -S judge.treshold=0.5: params.yaml has no judge.treshold"),
        ("dvc exp rum", "dvc exp rum: dvc does not know it"),
        ("make dogs", "make dogs: the Makefile has no dogs"),
        ("RAY_ADDRESS=a:1 dvc repro clean && kun whi > page.md", "kun whi: No such command 'whi'."),
        ("accelerate launch --config_file a.yaml -m kun lable  # needs GPUs", "kun lable: No such command 'lable'."),
        ("dvc repro check@pairs pipelines/glan/dvc.yaml:lists  # both", ""),
    ],
)
def test_a_wrong_command_would_be_seen(text: str, said: str) -> None:
    found = [told for words in commands(text) if (told := fault(words))]
    assert len(found) == (said != "")
    assert all(told.startswith(said) for told in found), found
