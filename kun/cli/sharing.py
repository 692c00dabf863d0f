"""Verbs that bring a release here, and to others."""

from pathlib import Path

import click

from kun.cli.group import main, open_project, say


@main.command()
@click.argument("source")
@click.argument("target", metavar="DEST", type=click.Path(path_type=Path))
@click.option("--rev", default="", help="Branch, tag or commit of a project or of a dataset on the hub.")
def fetch(source: str, target: Path, rev: str) -> None:
    """Bring the release of another project into the folder DEST, and check it against its checksums.

    SOURCE is a folder or git URL of a project under DVC, a release folder, or OWNER/NAME of a dataset on the Hugging Face hub.

    \b
    Example:
      kun fetch https://git.example/team/kun-project tea --rev v1
      kun fetch /mnt/shared/release tea
      kun fetch owner/name tea
    """
    from kun.sharing.fetch import fetch

    came = fetch(source, target, rev)
    checked = "it has no SHA256SUMS, so nothing was checked" if came.checked is None else f"{came.checked} checked"
    say(f"fetch: {came.files} files from a {came.kind} in {target}; {checked}")


@main.command()
@click.argument("name", metavar="OWNER/NAME")
@click.option("--yes", is_flag=True, help="Send it; without this it is only told what would be sent.")
@click.option("--public", is_flag=True, help="For everybody; without this only its owners can see it.")
@click.option("--emails-ok", is_flag=True, help="E-mail addresses in the texts are meant to be there.")
@click.option("--message", default="", help="Of the commit on the hub.")
def publish(name: str, yes: bool, public: bool, emails_ok: bool, message: str) -> None:
    """Send data/release to the Hugging Face hub as the dataset OWNER/NAME, in one commit; a dry run unless --yes.

    Refused: a release that broke a gate, is not what dvc.lock says, has texts without a known licence, or holds keys,
    passwords or addresses. The token is taken from HF_TOKEN or `hf auth login`; HF_ENDPOINT names another hub.

    \b
    Example:
      kun publish owner/name
      kun publish owner/name --yes  # needs a hub
    """
    from kun.sharing.publish import plan, send, told

    project, params = open_project()
    planned = plan(project, params, name, public, emails_ok)
    click.echo(told(planned))
    if not yes:
        say("dry run: nothing was sent; add --yes")
        return
    sent = send(planned, message)
    if sent.commit is None:
        say(f"publish: nothing has changed at {sent.url}")
        return
    say(f"publish: {sent.url}, commit {sent.commit}; how to undo: docs/sharing.md#undo")
