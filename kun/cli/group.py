"""The command group, and what its verbs share. A verb's module is loaded when the verb runs: nothing heavy is imported here."""

import errno
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kun.errors import KunError

if TYPE_CHECKING:
    from kun.corpus.evals import EvalGrams
    from kun.params import Params
    from kun.project import Project

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
warnings.filterwarnings("ignore", category=FutureWarning)  # notes of libraries to their own developers

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Ordered(click.Group):
    """Verbs in the order of the pipeline."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In order of definition, not of the alphabet."""
        return list(self.commands)


class Group(Ordered):
    """The whole command line: expected errors become one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; KunError and errors of the file system end in one line on stderr."""
        if ctx.find_root().params.get("debug"):
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except KunError as error:
            click.echo(f"kun: {error}", err=True)
            ctx.exit(error.exit_code)
        except BrokenPipeError:  # of `kun why | head`: nobody reads on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            if error.errno in FULL_DISK:
                message = "no space is left on the disk; free some and run again, finished work is kept"
            else:
                message = f"{error.strerror or error} ({error.filename})" if error.filename else str(error)
            click.echo(f"kun: {message}", err=True)
            ctx.exit(2)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show tracebacks of expected errors too.")
@click.version_option(package_name="kun")
def main(debug: bool) -> None:
    """Turn raw text into a gated, versioned instruction-tuning dataset.

    Run the whole pipeline with `dvc repro`; each verb below is one stage of dvc.yaml.
    """


def pipeline(name: str) -> Callable[[Callable[..., Any]], click.Group]:
    """Declare the verbs of pipelines/<name>/dvc.yaml as a group of their own; its docstring is the help."""

    def declare(function: Callable[..., Any]) -> click.Group:
        function.__doc__ = f"{function.__doc__}\n\n\b\nExample:\n  dvc repro pipelines/{name}/dvc.yaml"
        return main.group(name, cls=Ordered)(function)

    return declare


def stage(name: str, group: click.Group = main) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a verb; its first docstring line is the help, and the example is the same for all."""
    verb = name if group is main else f"{group.name} {name}"
    target = name if group is main else f"pipelines/{group.name}/dvc.yaml:{name}"

    def declare(function: Callable[..., Any]) -> click.Command:
        function.__doc__ = f"{function.__doc__}\n\n\b\nExample:\n  kun {verb}\n  dvc repro {target}"
        return group.command(name)(function)

    return declare


class Amount(click.ParamType):
    """A share of the rows, with a point, or a number of them."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        """0.1 -> 0.1, 1000 -> 1000; else a usage error."""
        try:
            wanted = int(value) if str(value).isdecimal() else float(value)
        except ValueError:
            wanted = -1
        if (isinstance(wanted, float) and not 0 <= wanted <= 1) or wanted < 0:
            self.fail(f"{value!r} is neither a share such as 0.1 nor a number of rows", param, ctx)
        return wanted


FILE = click.Path(dir_okay=False, path_type=Path)


def limited(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option `--limit`."""
    option = click.option(
        "--limit", type=click.IntRange(min=1), help="Only the first N rows; the rest is dropped, with reason."
    )
    return option(function)


def open_project() -> "tuple[Project, Params]":
    """That of the working directory; ConfigError when it was made for other code than is installed."""
    from kun.config import load_params
    from kun.project import Project
    from kun.start.code import verify

    project, params = Project(), load_params()
    verify(project)
    return project, params


def with_limit(section: Any, limit: int | None) -> Any:
    """The section of params.yaml with the limit of the command line, if there is one."""
    from dataclasses import replace

    return section if limit is None else replace(section, limit=limit)


def evals(project: "Project", params: "Params") -> "EvalGrams":
    """What no text may share with an evaluation set."""
    from kun.corpus.evals import load_evals

    wanted = params.decontaminate
    return load_evals(project.root / wanted.path, wanted.fields, wanted.ngram, wanted.both_scripts)


def tell(counts: dict[str, Any] | None) -> None:
    """One line on stderr: rows in, kept, and the main reasons; nothing on helper ranks."""
    if counts is None:
        return
    reasons = ", ".join(f"{reason} {n}" for reason, n in list(counts["reasons"].items())[:6])
    say(f"{counts['stage']}: {counts['rows_in']} in, {counts['kept']} kept" + (f" ({reasons})" if reasons else ""))


def say(text: str) -> None:
    """One line for people; stdout is for results."""
    click.echo(text, err=True)
