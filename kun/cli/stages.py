"""The verbs of dvc.yaml, in its order: one for each stage, and what each stage is called with."""

from functools import partial

import click

from kun.cli.group import evals, limited, main, open_project, say, stage, tell, with_limit


@stage("base")
def base() -> None:
    """Resolve, convert and pin the base model."""
    from kun.models import pin_base

    project, params = open_project()
    pinned = pin_base(project, params.model)
    say(f"base: {pinned.name}, {pinned.parameters:,} parameters, licence {pinned.licence}, {pinned.fingerprint}")


@stage("ingest")
def ingest() -> None:
    """Read raw files of every format into one table."""
    from kun.corpus.ingest import ingest

    project, params = open_project()
    tell(ingest(project, params.ingest, params.executor))


@stage("clean")
def clean() -> None:
    """Drop or mend texts by character-level rules."""
    from kun.corpus.clean import TokenCounter, clean
    from kun.models import count_tokens, read_base

    project, params = open_project()
    base = read_base(project).fingerprint
    tokens = TokenCounter(partial(count_tokens, project.root.resolve(), base), base)
    tell(clean(project, params.clean, tokens, params.executor))


@stage("dedup")
def dedup() -> None:
    """Drop exact and near duplicates, across sources."""
    from kun.corpus.dedup import dedup

    project, params = open_project()
    tell(dedup(project, params.dedup, params.executor))


@stage("decontaminate")
def decontaminate() -> None:
    """Drop texts that overlap an evaluation set."""
    from kun.corpus.decontaminate import decontaminate

    project, params = open_project()
    tell(decontaminate(project, params.decontaminate, params.executor))


@stage("perplexity")
def perplexity() -> None:
    """Score each text by the base model."""
    from kun.corpus.perplexity import perplexity

    project, params = open_project()
    tell(perplexity(project, params.perplexity, params.engine))


@stage("corpus")
@limited
def corpus(limit: int | None) -> None:
    """Keep the texts inside the perplexity band, each meaning once."""
    from kun.corpus.corpus import corpus

    project, params = open_project()
    tell(corpus(project, with_limit(params.corpus, limit), params.engine))


@stage("seeds")
@limited
def seeds(limit: int | None) -> None:
    """Read the seed pairs and hold some out."""
    from kun.corpus.seeds import seeds
    from kun.models import load_tokens

    project, params = open_project()
    tell(seeds(project, with_limit(params.seeds, limit), evals(project, params), load_tokens(project).count))


@main.command()
@click.argument("name", type=click.Choice(["label", "chat"]))
def train(name: str) -> None:
    """Train the label model or the chat model on the seeds.

    \b
    Example:
      kun train label
      accelerate launch --config_file configs/accelerate/8gpu.yaml -m kun train chat
    """
    from kun.train.sft import train

    project, params = open_project()
    summary = train(project, name, params)
    if summary:
        say(f"train {name}: best epoch {summary['best_epoch']}, held-out loss {summary['heldout_loss']}")


@stage("evaluate")
def evaluate() -> None:
    """Test both models on held-out seeds."""
    from kun.train.evaluate import evaluate

    project, params = open_project()
    report = evaluate(project, params.evaluate, params.label, params.judge, params.engine)
    if report:
        say(
            f"evaluate: instruction closer than a random one {report['label']['closer_than_random']:.0%}, "
            f"judge AUC {report['judge']['trained']['auc']} (zero-shot {report['judge']['zero_shot']['auc']})"
        )


@stage("label")
@limited
def label(limit: int | None) -> None:
    """Write an instruction for each text."""
    from kun.backtranslate.label import label

    project, params = open_project()
    tell(label(project, with_limit(params.label, limit), params.engine))


@stage("instructions")
def instructions() -> None:
    """Filter the generated instructions by rules."""
    from kun.backtranslate.instructions import instructions

    project, params = open_project()
    tell(instructions(project, params.instructions, evals(project, params)))


@stage("judge")
@limited
def judge(limit: int | None) -> None:
    """Score the instructions by the strict judge."""
    from kun.backtranslate.judge import judge

    project, params = open_project()
    tell(judge(project, with_limit(params.judge, limit), params.engine))


@stage("polish")
@limited
def polish(limit: int | None) -> None:
    """Rewrite each text into an answer."""
    from kun.backtranslate.polish import polish

    project, params = open_project()
    tell(polish(project, with_limit(params.polish, limit), params.judge, params.engine))


@stage("pairs")
def pairs() -> None:
    """Apply the judge's threshold and the output rules."""
    from kun.backtranslate.pairs import pairs

    project, params = open_project()
    tell(pairs(project, params.pairs, params.judge, params.ingest, evals(project, params)))


@stage("release")
def release() -> None:
    """Write the dataset for trainers, with its card."""
    from kun.release.release import release

    project, params = open_project()
    summary = release(project, params)
    say("release: " + ", ".join(f"{key} {value}" for key, value in summary.items()))


@stage("report")
def report() -> None:
    """Write the report, metrics and plots."""
    from kun.release.report import report

    project, params = open_project()
    report(project, params)
    say("report: reports/report.html, reports/report.zh-CN.html, metrics.json")


@main.command()
@click.argument("dataset")
def check(dataset: str) -> None:
    """Validate a dataset against its expectations; exit 1 when it breaks one.

    \b
    Example:
      kun check pairs
      dvc repro check@pairs
    """
    from kun.gate import check

    project, params = open_project()
    result = check(project, dataset, params.check)
    say(f"check {dataset}: passed {result['passed']} expectations")
