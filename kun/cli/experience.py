"""The verbs of pipelines/experience/dvc.yaml, in its order."""

from kun.cli.group import open_project, pipeline, say, stage, tell


@pipeline("experience")
def experience() -> None:
    """Brief experience of the base model, phase 1 of IFD: the scorer `experience` of the stage losses."""


@stage("choose", experience)
def choose() -> None:
    """Choose diverse pairs of middling perplexity."""
    from kun.select.experience import choose

    project, params = open_project()
    tell(choose(project, params.experience, params.losses, params.engine))


@stage("train", experience)
def train() -> None:
    """Train the base model on them for one epoch."""
    from kun.train.experience import train

    project, params = open_project()
    if summary := train(project, params):
        say(f"experience train: {summary['examples']['train']} pairs, held-out loss {summary['heldout_loss']}")
