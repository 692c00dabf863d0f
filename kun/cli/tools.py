"""Verbs beside the pipeline: what a stage will take, whether all is well, what came out."""

import sys

import click

from kun.cli.group import main, open_project


@main.command()
@click.argument("stage", type=click.Choice(["perplexity", "label", "judge", "polish", "losses"]))
@click.option("--rows", type=click.IntRange(min=8), default=64, show_default=True, help="Rows of the pilot.")
def plan(stage: str, rows: int) -> None:
    """Tell what a model stage will take and give.

    Computes a fair sample of the rows that are missing and prints time, tokens, cost and yield of all, with intervals.
    The stage finds these rows computed when it runs; its output is not touched.

    \b
    Example:
      kun plan label
      accelerate launch --config_file configs/accelerate/8gpu.yaml -m kun plan polish --rows 512  # needs GPUs
    """
    from kun.forecast import forecast

    project, params = open_project()
    if told := forecast(project, params, stage, rows):
        click.echo(told)


@main.command()
def doctor() -> None:
    """Look at the environment, model, server, disk, GPU and git identity; exit 1 when something needs you.

    \b
    Example:
      kun doctor
    """
    from kun.doctor import examine

    findings = examine()
    for finding in findings:
        click.echo(f"{'ok  ' if finding.ok else 'FIX '} {finding.name}: {finding.text}")
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


@main.command()
def summary() -> None:
    """Print the funnel table, what model work cost, and where the results lie.

    \b
    Example:
      kun summary
    """
    from kun.release.funnel import funnel_frame, funnel_text, read_counts
    from kun.report.work import model_work, work_text

    project, params = open_project()
    click.echo(funnel_text(funnel_frame(read_counts(project))))
    if work := model_work(project):
        click.echo(f"\n{work_text(work)}")
    click.echo(
        f"\ndataset  data/release ({params.release.name})\ncard     data/release/README.md\nreport   reports/index.html"
    )
