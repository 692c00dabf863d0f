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
