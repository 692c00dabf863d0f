"""Verbs that look at what came out, and change nothing."""

import json
from dataclasses import asdict

import click

from kun.cli.group import main, open_project


@main.command()
@click.argument("record", nargs=-1, required=True)
@click.option("--full", is_flag=True, help="Whole texts and prompts, and the rules that were passed.")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def explain(record: tuple[str, ...], full: bool, as_json: bool) -> None:
    """Tell the life of a record: where it came from, what each stage saw, asked, wrote and decided.

    RECORD is an id, the beginning of one, a line number of the release, or a piece of text, instruction or answer.

    \b
    Example:
      kun explain 12
      kun explain 3f9a2c --full
      kun explain 怎样保存茶叶
    """
    from kun.explain.find import find
    from kun.explain.life import life
    from kun.explain.page import page

    project, params = open_project()
    found = find(project, " ".join(record))
    steps = life(project, params, found)
    if as_json:
        click.echo(json.dumps({"id": found, "steps": [asdict(step) for step in steps]}, ensure_ascii=False, indent=2))
    else:
        click.echo(page(found, steps, full))


@main.command()
@click.option("--stage", default="", help="Only this stage.")
@click.option("--source", default="", help="Only rows of this source.")
@click.option("--reason", default="", help="Only this reason.")
@click.option(
    "--examples", "count", type=click.IntRange(min=0), default=1, show_default=True, help="Rows shown of each."
)
def why(stage: str, source: str, reason: str, count: int) -> None:
    """Tell why rows left: how many for each reason, with examples.

    \b
    Example:
      kun why
      kun why --stage clean --source forum --examples 5
    """
    from kun.explain.why import examples, reasons
    from kun.terminal import printable

    project, _ = open_project()
    for found in reasons(project, stage, source, reason):
        click.echo(f"{found['stage']}  {found['reason']}  {found['rows']:,} rows, {found['share']:.1%} of what came in")
        for row in examples(project, found["stage"], found["reason"], source, count).iter_rows(named=True):
            asked = f" (asked: {row['threshold']})" if row["threshold"] else ""
            click.echo(f"    {row['id']}  {printable(row['value'])}{asked}  {printable(row['excerpt'])[:80]}")
