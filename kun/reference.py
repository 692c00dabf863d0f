"""docs/cli.md, made from the commands themselves: `python -m kun.reference > docs/cli.md`."""

import click

from kun.cli import main

WIDTH = 100  # characters of a help text, whatever the terminal


def reference() -> str:
    """The whole page: the help of `kun` and of each verb, in the order of the pipeline, the verbs of a group behind it."""
    whole = click.Context(main, info_name="kun", terminal_width=WIDTH, **main.context_settings)
    parts = [
        "# Commands",
        "Made by `python -m kun.reference > docs/cli.md`; a test compares it with the commands. Knobs are in\n"
        "`params.yaml`, not here. Exit codes: 0 done, 1 the data broke a gate (or `kun doctor` found something),\n"
        "2 input, configuration or usage: one line on stderr says what and how to mend it.",
        _section(whole),
    ]
    for name, command in main.commands.items():
        context = click.Context(command, whole, name, terminal_width=WIDTH)
        parts.append(_section(context))
        for verb, inner in command.commands.items() if isinstance(command, click.Group) else ():
            parts.append(_section(click.Context(inner, context, verb, terminal_width=WIDTH)))
    return "\n\n".join(parts) + "\n"


def _section(context: click.Context) -> str:
    return f"## {context.command_path}\n\n```\n{context.get_help()}\n```"


if __name__ == "__main__":
    click.echo(reference(), nl=False)
