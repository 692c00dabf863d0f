"""Verbs that make a project, and renew it."""

from pathlib import Path

import click

from kun.cli.group import main, say


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Make a new project in DIR: parameters, pipeline, gates and sample data, under git and DVC.

    Files that are there are never overwritten: when one is in the way, nothing is written at all.

    \b
    Example:
      kun init my-dataset
      cd my-dataset && kun doctor && dvc repro
    """
    from kun.start.project import create

    count = create(folder)
    say(f"init: {count} files in {folder}")
    say(f'next: cd {folder} && kun doctor && git add -A && git commit -m "A new project" && dvc repro')


@main.command()
def upgrade() -> None:
    """Tell the project that another version of kun is installed; its stages whose code changed run again.

    Settings that nobody edited are renewed. Beside one that was edited the new one is laid as NAME.new.

    \b
    Example:
      pip install --upgrade kun && kun upgrade && git diff
    """
    from importlib.metadata import version

    from kun.project import Project
    from kun.start.project import upgrade

    renewed = upgrade(Project())
    say(f"upgrade: from kun {renewed.before} to {version('kun')}; undo with git checkout .")
    for name in renewed.replaced:
        say(f"  {name}: replaced")
    for name in renewed.beside:
        say(f"  {name}: edited here; take what you want from {name}.new, then delete that")
