"""The verbs of dvc.yaml, in its order: one for each stage, and what each stage is called with."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from kun.cli.group import FILE, Amount, evals, limited, main, open_project, say, stage, tell, with_limit

BY = ("ifd", "ifd_ppl", "rifd", "ira", "length", "random")


@stage("base")
def base() -> None:
    """Resolve, convert and pin the base model."""
    from kun.models import pin_base

    project, params = open_project()
    pinned = pin_base(project, params.model)
    say(f"base: {pinned.name}, {pinned.parameters:,} parameters, licence {pinned.licence}, {pinned.fingerprint}")


@stage("teacher")
def teacher() -> None:
    """Resolve, convert and pin the model that writes for other pipelines."""
    from kun.models import pin_teacher

    project, params = open_project()
    pinned = pin_teacher(project, params.model)
    say(f"teacher: {pinned.name}, {pinned.parameters:,} parameters, licence {pinned.licence}, {pinned.fingerprint}")


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
      accelerate launch --config_file configs/accelerate/8gpu.yaml -m kun train chat  # needs GPUs
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


@main.command()
@click.argument("name")
def source(name: str) -> None:
    """Take the pairs of a source of `mix.sources` into the mix.

    \b
    Example:
      kun source kun
      dvc repro source@kun
    """
    from kun.mix.source import source

    project, params = open_project()
    taken = source(project, params.mix, name)
    say(f"source {taken['source']}: {taken['rows']} pairs")


@stage("mix")
def mix() -> None:
    """Bring the pairs of all sources together, each request once."""
    from kun.mix.mix import mix

    project, params = open_project()
    tell(mix(project, params.mix))


@stage("losses")
@limited
def losses(limit: int | None) -> None:
    """Score each pair's answer with and without its instruction."""
    from kun.select.losses import losses

    project, params = open_project()
    tell(losses(project, with_limit(params.losses, limit), params.engine))


@main.command()
@click.option(
    "--in", "source", type=FILE, help="A dataset of your own: alpaca, sharegpt or messages; .json, .jsonl, .parquet."
)
@click.option("--out", "target", type=FILE, help="Where its best rows go, in the same format.")
@click.option("--by", type=click.Choice(BY), default="ifd", show_default=True, help="What ranks the rows.")
@click.option(
    "--top", type=Amount(), default="0.1", show_default=True, help="A share (0.1) or a number (1000) of rows."
)
@click.option(
    "--model", help="The scorer: a folder, GGUF package or hub id; else that of params.yaml, or the demo model."
)
@click.option("--lang", type=click.Choice(["zh", "en"]), help="Of the request to guess an instruction (--by rifd).")
@click.option("--order", type=click.Choice(["rank", "input"]), default="rank", show_default=True, help="Of the rows.")
@click.option("--scores", "table", type=FILE, help="Every row with its scores and rank or reason: .csv or .parquet.")
def select(source: Path | None, target: Path | None, table: Path | None, **options: Any) -> None:
    """Choose the pairs to release, or the best rows of a file.

    Without --in it is a stage of the pipeline, and params.yaml says how. With --in no project is needed.

    \b
    Example:
      kun select
      kun select --in alpaca.json --by ifd --top 0.1 --out cherry.json
    """
    from kun.select.choose import select
    from kun.select.standalone import select_file

    if source is None or target is None:
        if source or target or table:
            raise click.UsageError(
                "--in and --out go together; without them `kun select` runs the stage of params.yaml"
            )
        project, params = open_project()
        counts = select(project, params.select, params.engine, partial(evals, project, params))
    else:
        counts = select_file(source, target, table=table, **options)
    tell(counts)
    if counts and (voted := {name: n for name, n in counts.get("votes", {}).items() if n}):
        say("select: votes: " + ", ".join(f"{n} {name}" for name, n in voted.items()) + " (docs/review.md)")
    if counts and counts["qualified"] < counts["asked"]:
        say(f"select: {counts['asked']} rows were asked for, only {counts['qualified']} qualify")


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
    from kun.report.report import report

    project, params = open_project()
    report(project, params)
    say("report: reports/index.html, reports/index.zh-CN.html, metrics.json")


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
