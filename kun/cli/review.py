"""Verbs for people who read records: the page on which they vote, and what their votes say."""

import json

import click

from kun.cli.group import main, open_project, say

SCORES = ["p_good", "support", "copy_rate", "ppl", "length", "ifd_loss", "ifd_ppl", "rifd_loss", "rifd_ppl", "ira"]


@main.command()
@click.argument("record", nargs=-1)
@click.option("--by", type=click.Choice(SCORES), default=None, help="Records that have this score.")
@click.option("--between", type=(float, float), metavar="LOW HIGH", help="Of the score, both ends included.")
@click.option("--stage", default="", help="Records that left at this stage.")
@click.option("--reason", default="", help="Records that left for this reason.")
@click.option("--source", default="", help="Only records of this source.")
@click.option("--count", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Of the draw.")
@click.option("--again", is_flag=True, help="Records that you have voted on, too.")
@click.option("--as", "reviewer", default="reviewer", show_default=True, help="Your name in data/votes.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another than loopback asks for a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8420, show_default=True, help="0: a free one.")
def review(
    record: tuple[str, ...],
    by: str | None,
    between: tuple[float, float] | None,
    stage: str,
    reason: str,
    source: str,
    count: int,
    seed: int,
    again: bool,
    reviewer: str,
    host: str,
    port: int,
) -> None:
    """Read records on a local page, and keep, drop or edit them.

    Without options: finished pairs at random. RECORD is what `kun explain` takes: an id, a line of the release, some text.
    Votes are stored in data/votes at once; `select` applies them.

    \b
    Example:
      kun review --as anna
      kun review --by p_good --between 0.4 0.7 --count 100
      kun review --stage pairs --reason judge_threshold
    """
    from kun.review.sample import Wanted
    from kun.review.serve import open_session, serve

    if between and not by:
        raise click.UsageError("--between needs --by: the score that it is about")
    if record and (by or stage or reason or source):
        raise click.UsageError("name records, or describe them by --by, --stage, --reason and --source; not both")
    project, _ = open_project()
    low, high = between or (None, None)
    wanted = Wanted(by or "", low, high, stage, reason, source, count, seed)
    serve(open_session(project, reviewer, record, wanted, again), host, port, say)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def votes(as_json: bool) -> None:
    """Sum the votes up: who, how far reviewers agree, what the judge and the rules are worth.

    \b
    Example:
      kun votes
      kun votes --json
    """
    from kun.review.told import told
    from kun.votes.summary import THRESHOLDS, votes_summary

    project, params = open_project()
    summary = votes_summary(project, sorted({*THRESHOLDS, params.judge.threshold}))
    if as_json:
        click.echo(json.dumps(summary, ensure_ascii=False, indent=2))
    else:
        click.echo(told(summary, params.judge.threshold))
