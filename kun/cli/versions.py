"""Verbs that hold one dataset against another: other parameters, other revisions, other experiments."""

import json
from dataclasses import asdict

import click

from kun.cli.group import main


@main.command("what-if")
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE...")
@click.option("--exact", is_flag=True, help="Look at every row, where a sample would do.")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def what_if(settings: tuple[str, ...], exact: bool, as_json: bool) -> None:
    """Tell what other parameters would release, from what is stored: no model is asked, nothing is written.

    \b
    Example:
      kun what-if judge.threshold=0.8
      kun what-if select.top=0.1 'select.rank={by: ifd_ppl, descending: true}'
    """
    from pathlib import Path

    from kun.config import build_params, read_tree
    from kun.project import Project
    from kun.whatif.answer import answer
    from kun.whatif.page import page
    from kun.whatif.settings import parse

    tree = read_tree(Path("params.yaml"))
    old = build_params(tree)
    new, changed = parse(settings, tree)
    found = answer(Project(), old, new, changed, exact)
    click.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2) if as_json else page(found))


@main.command()
@click.argument("before", metavar="REV_A")
@click.argument("after", metavar="[REV_B]", default="workspace")
@click.option("--samples", type=click.IntRange(min=0), default=5, show_default=True, help="Rows shown of each kind.")
@click.option("--json", "form", flag_value="json", help="All of it as JSON.")
@click.option("--markdown", "form", flag_value="markdown", help="For a pull request.")
def diff(before: str, after: str, samples: int, form: str | None) -> None:
    """Tell how two versions of the released dataset differ: rows, fields, reasons, lengths, scores, parameters, models.

    REV_A and REV_B are branches, tags, commits or experiments of DVC; without REV_B it is the workspace.

    \b
    Example:
      kun diff HEAD
      kun diff v1 v2 --markdown > pull-request.md
    """
    from pathlib import Path

    from kun.compare.diff import diff
    from kun.compare.page import pull_request, text

    found = diff(Path(), before, after, samples)
    if form == "json":
        click.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2, default=str))
    else:
        click.echo(pull_request(found) if form == "markdown" else text(found))


@main.command()
@click.argument("arms", nargs=-1, metavar="[EXP]...")
@click.option("--json", "form", flag_value="json", help="All of it as JSON.")
@click.option("--markdown", "form", flag_value="markdown", help="For a pull request.")
@click.option("--csv", "form", flag_value="csv", help="The table of the arms, without the overlap.")
def compare(arms: tuple[str, ...], form: str | None) -> None:
    """Tell what several experiments, revisions or arms of the selection release, side by side.

    Without EXP these are the workspace and its arms (`select.arms`).

    \b
    Example:
      kun compare
      kun compare main floating-wolf random
    """
    from pathlib import Path

    from kun.compare.arms import as_csv, as_markdown, compare, text

    found = compare(Path(), arms)
    forms = {"csv": as_csv, "markdown": as_markdown, None: text}
    told = (
        json.dumps(asdict(found), ensure_ascii=False, indent=2, default=str) if form == "json" else forms[form](found)
    )
    click.echo(told)
