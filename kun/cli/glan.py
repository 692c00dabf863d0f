"""The verbs of pipelines/glan/dvc.yaml, in its order, and what a model adds to the taxonomy."""

import click

from kun.cli.group import evals, open_project, pipeline, say, stage, tell


@pipeline("glan")
def glan() -> None:
    """GLAN: pairs from a taxonomy of knowledge, which people write and vote on."""


@stage("taxonomy", glan)
def taxonomy() -> None:
    """Read the taxonomy and keep what the votes keep."""
    from kun.glan.taxonomy import taxonomy

    project, params = open_project()
    tell(taxonomy(project, params.glan))


@stage("lists", glan)
def lists() -> None:
    """Write lists of subjects for each chosen discipline."""
    from kun.glan.lists import lists

    project, params = open_project()
    tell(lists(project, params.glan, params.engine))


@stage("subjects", glan)
def subjects() -> None:
    """Read the subjects of the lists and merge them."""
    from kun.glan.subjects import subjects

    project, params = open_project()
    tell(subjects(project, params.glan, params.engine))


@stage("syllabi", glan)
def syllabi() -> None:
    """Write a syllabus for each subject."""
    from kun.glan.syllabi import syllabi

    project, params = open_project()
    tell(syllabi(project, params.glan, params.engine))


@stage("sessions", glan)
def sessions() -> None:
    """Read class sessions and key concepts of the syllabi."""
    from kun.glan.sessions import sessions

    project, params = open_project()
    tell(sessions(project, params.glan, params.engine))


@stage("questions", glan)
def questions() -> None:
    """Ask one question for each sample of key concepts."""
    from kun.glan.questions import questions

    project, params = open_project()
    tell(questions(project, params.glan, params.engine))


@stage("answers", glan)
def answers() -> None:
    """Answer the questions."""
    from kun.glan.answers import answers

    project, params = open_project()
    tell(answers(project, params.glan, params.engine))


@stage("pairs", glan)
def pairs() -> None:
    """Apply the rules on pairs and decontaminate."""
    from kun.glan.pairs import pairs

    project, params = open_project()
    tell(pairs(project, params.glan, evals(project, params)))


@stage("coverage", glan)
def coverage() -> None:
    """Count the pairs of each node, as a table and a page."""
    from kun.glan.coverage import coverage

    project, params = open_project()
    tell(coverage(project, params.glan))
    say("coverage: reports/glan/coverage.html, reports/glan/coverage.zh-CN.html")


@glan.command()
@click.argument("parents", nargs=-1)
@click.option("--most", type=click.IntRange(min=1), default=5, show_default=True, help="Of each parent.")
def propose(parents: tuple[str, ...], most: int) -> None:
    """Let the teacher propose disciplines below PARENTS, by default below every sub-field.

    They are written into proposed.yaml and wait there until votes.csv keeps them.

    \b
    Example:
      kun glan propose physics food --most 3
    """
    from kun.glan.propose import propose

    project, params = open_project()
    found = propose(project, params.glan, params.engine, parents, most)
    if found is not None:
        say(f"propose: {len(found)} new in {params.glan.path}/proposed.yaml: {', '.join(found)}")
