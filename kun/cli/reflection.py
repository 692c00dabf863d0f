"""The verbs of pipelines/reflection/dvc.yaml, in its order."""

from kun.cli.group import limited, open_project, pipeline, say, stage, tell, with_limit


@pipeline("reflection")
def reflection() -> None:
    """Selective Reflection-Tuning: an oracle rewrites pairs, the student chooses."""


@stage("instructions", reflection)
@limited
def instructions(limit: int | None) -> None:
    """Ask the oracle for a harder instruction and its answer."""
    from kun.reflection.instructions import instructions

    project, params = open_project()
    tell(instructions(project, with_limit(params.reflection, limit), params.engine))


@stage("by_ifd", reflection)
def by_ifd() -> None:
    """Keep the pair that is harder for the student, old or new."""
    from kun.reflection.by_ifd import by_ifd

    project, params = open_project()
    tell(by_ifd(project, params.reflection, params.losses, params.engine))


@stage("answers", reflection)
def answers() -> None:
    """Ask the oracle for a better answer."""
    from kun.reflection.answers import answers

    project, params = open_project()
    tell(answers(project, params.reflection, params.engine))


@stage("by_rifd", reflection)
def by_rifd() -> None:
    """Keep the answer that tells more of its instruction, old or new."""
    from kun.reflection.by_rifd import by_rifd

    project, params = open_project()
    tell(by_rifd(project, params.reflection, params.losses, params.engine))


@stage("pairs", reflection)
def pairs() -> None:
    """Write the pairs, and what reflection did to them."""
    from kun.reflection.pairs import pairs
    from kun.reflection.report import report

    project, params = open_project()
    counts = pairs(project, params.reflection)
    tell(counts)
    say(report(counts))
