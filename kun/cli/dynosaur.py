"""The verbs of pipelines/dynosaur/dvc.yaml, in its order, and `grow`."""

import click

from kun.cli.group import evals, open_project, pipeline, say, stage, tell


@pipeline("dynosaur")
def dynosaur() -> None:
    """Dynosaur: instructions from the metadata of annotated datasets."""


@stage("datasets", dynosaur)
def datasets() -> None:
    """Read cards and first rows; keep what may and can be used."""
    from kun.dynosaur.datasets import datasets

    project, params = open_project()
    tell(datasets(project, params.dynosaur))


@stage("proposals", dynosaur)
def proposals() -> None:
    """Ask the model for tasks of each dataset."""
    from kun.dynosaur.proposals import proposals

    project, params = open_project()
    tell(proposals(project, params.dynosaur, params.engine))


@stage("tasks", dynosaur)
def tasks() -> None:
    """Read tasks from the replies and filter them."""
    from kun.dynosaur.tasks import tasks

    project, params = open_project()
    tell(tasks(project, params.dynosaur))


@stage("pairs", dynosaur)
def pairs() -> None:
    """Fill the tasks in with the rows of their datasets."""
    from kun.dynosaur.pairs import pairs

    project, params = open_project()
    tell(pairs(project, params.dynosaur, evals(project, params)))


@stage("replay", dynosaur)
def replay() -> None:
    """Choose the earlier tasks that each step of growth trains again."""
    from kun.dynosaur.replay import replay

    project, params = open_project()
    tell(replay(project, params.dynosaur, params.engine))


@stage("lessons", dynosaur)
def lessons() -> None:
    """Write what each step of growth trains: new pairs and replayed ones."""
    from kun.dynosaur.lessons import lessons

    project, params = open_project()
    tell(lessons(project, params.dynosaur))


@dynosaur.command()
@click.option(
    "--register", is_flag=True, help="Write the datasets that no step has yet into steps.yaml, as the next step."
)
def grow(register: bool) -> None:
    """Tell what a rerun would add, ask and cost.

    \b
    Example:
      kun dynosaur grow
      kun dynosaur grow --register
    """
    from kun.dynosaur.grow import growth, present, register_step, told

    project, params = open_project()
    click.echo(told(growth(project, params.dynosaur, params.engine), params.engine))
    if register:
        step = register_step(project, params.dynosaur, present(project, params.dynosaur))
        say(f"dynosaur: registered step {step}" if step else "dynosaur: every dataset has its step already")
