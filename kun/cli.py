"""`kun VERB`: one verb per stage of dvc.yaml, run in the project's folder. Knobs live in params.yaml.

Nothing heavy is imported here: a verb's module is loaded when the verb runs.
"""

import errno
import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from kun.errors import KunError

if TYPE_CHECKING:
    from kun.corpus.evals import EvalGrams
    from kun.params import Params
    from kun.project import Project

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
warnings.filterwarnings("ignore", category=FutureWarning)  # notes of libraries to their own developers

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Group(click.Group):
    """Verbs in the order of the pipeline; expected errors become one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In order of definition, not of the alphabet."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; KunError and errors of the file system end in one line on stderr."""
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except KunError as error:
            click.echo(f"kun: {error}", err=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            if error.errno in FULL_DISK:
                message = "no space is left on the disk; free some and run again, finished work is kept"
            else:
                message = f"{error.strerror or error} ({error.filename})" if error.filename else str(error)
            click.echo(f"kun: {message}", err=True)
            ctx.exit(2)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show tracebacks of expected errors too.")
@click.version_option(package_name="kun")
def main(debug: bool) -> None:
    """Turn raw text into a gated, versioned instruction-tuning dataset.

    Run the whole pipeline with `dvc repro`; each verb below is one stage of dvc.yaml.
    """


def _stage(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a verb; its first docstring line is the help, and the example is the same for all."""

    def declare(function: Callable[..., Any]) -> click.Command:
        function.__doc__ = f"{function.__doc__}\n\n\b\nExample:\n  kun {name}\n  dvc repro {name}"
        return main.command(name)(function)

    return declare


def _limited(function: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--limit", type=click.IntRange(min=1), help="Only the first N rows; the rest is dropped, with reason."
    )
    return option(function)


@_stage("base")
def base() -> None:
    """Resolve, convert and pin the base model."""
    from kun.models import pin_base

    project, params = _open()
    pinned = pin_base(project, params.model)
    _say(f"base: {pinned.name}, {pinned.parameters:,} parameters, licence {pinned.licence}, {pinned.fingerprint}")


@_stage("ingest")
def ingest() -> None:
    """Read raw files of every format into one table."""
    from kun.corpus.ingest import ingest

    project, params = _open()
    _tell(ingest(project, params.ingest, params.executor))


@_stage("clean")
def clean() -> None:
    """Drop or mend texts by character-level rules."""
    from kun.corpus.clean import TokenCounter, clean
    from kun.models import count_tokens, read_base

    project, params = _open()
    base = read_base(project).fingerprint
    tokens = TokenCounter(partial(count_tokens, project.root.resolve(), base), base)
    _tell(clean(project, params.clean, tokens, params.executor))


@_stage("dedup")
def dedup() -> None:
    """Drop exact and near duplicates, across sources."""
    from kun.corpus.dedup import dedup

    project, params = _open()
    _tell(dedup(project, params.dedup, params.executor))


@_stage("decontaminate")
def decontaminate() -> None:
    """Drop texts that overlap an evaluation set."""
    from kun.corpus.decontaminate import decontaminate

    project, params = _open()
    _tell(decontaminate(project, params.decontaminate, params.executor))


@_stage("perplexity")
def perplexity() -> None:
    """Score each text by the base model."""
    from kun.corpus.perplexity import perplexity

    project, params = _open()
    _tell(perplexity(project, params.perplexity, params.engine))


@_stage("corpus")
@_limited
def corpus(limit: int | None) -> None:
    """Keep the texts inside the perplexity band, each meaning once."""
    from kun.corpus.corpus import corpus

    project, params = _open()
    _tell(corpus(project, _with_limit(params.corpus, limit), params.engine))


@_stage("seeds")
@_limited
def seeds(limit: int | None) -> None:
    """Read the seed pairs and hold some out."""
    from kun.corpus.seeds import seeds
    from kun.models import load_tokens

    project, params = _open()
    _tell(seeds(project, _with_limit(params.seeds, limit), _evals(project, params), load_tokens(project).count))


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

    project, params = _open()
    summary = train(project, name, params)
    if summary:
        _say(f"train {name}: best epoch {summary['best_epoch']}, held-out loss {summary['heldout_loss']}")


@_stage("evaluate")
def evaluate() -> None:
    """Test both models on held-out seeds."""
    from kun.train.evaluate import evaluate

    project, params = _open()
    report = evaluate(project, params.evaluate, params.label, params.judge, params.engine)
    if report:
        _say(
            f"evaluate: instruction closer than a random one {report['label']['closer_than_random']:.0%}, "
            f"judge AUC {report['judge']['trained']['auc']} (zero-shot {report['judge']['zero_shot']['auc']})"
        )


@_stage("label")
@_limited
def label(limit: int | None) -> None:
    """Write an instruction for each text."""
    from kun.backtranslate.label import label

    project, params = _open()
    _tell(label(project, _with_limit(params.label, limit), params.engine))


@_stage("instructions")
def instructions() -> None:
    """Filter the generated instructions by rules."""
    from kun.backtranslate.instructions import instructions

    project, params = _open()
    _tell(instructions(project, params.instructions, _evals(project, params)))


@_stage("judge")
@_limited
def judge(limit: int | None) -> None:
    """Score the instructions by the strict judge."""
    from kun.backtranslate.judge import judge

    project, params = _open()
    _tell(judge(project, _with_limit(params.judge, limit), params.engine))


@_stage("polish")
@_limited
def polish(limit: int | None) -> None:
    """Rewrite each text into an answer."""
    from kun.backtranslate.polish import polish

    project, params = _open()
    _tell(polish(project, _with_limit(params.polish, limit), params.judge, params.engine))


@_stage("pairs")
def pairs() -> None:
    """Apply the judge's threshold and the output rules."""
    from kun.backtranslate.pairs import pairs

    project, params = _open()
    _tell(pairs(project, params.pairs, params.judge, params.ingest, _evals(project, params)))


@_stage("release")
def release() -> None:
    """Write the dataset for trainers, with its card."""
    from kun.release.release import release

    project, params = _open()
    summary = release(project, params)
    _say("release: " + ", ".join(f"{key} {value}" for key, value in summary.items()))


@_stage("report")
def report() -> None:
    """Write the report, metrics and plots."""
    from kun.release.report import report

    project, params = _open()
    report(project, params)
    _say("report: reports/report.html, reports/report.zh-CN.html, metrics.json")


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

    project, params = _open()
    result = check(project, dataset, params.check)
    _say(f"check {dataset}: passed {result['passed']} expectations")


@main.command()
@click.argument("stage", type=click.Choice(["perplexity", "label", "judge", "polish"]))
@click.option("--rows", type=click.IntRange(min=8), default=64, show_default=True, help="Rows of the pilot.")
def plan(stage: str, rows: int) -> None:
    """Tell what a model stage will take and give.

    Computes a fair sample of the rows that are missing and prints time, tokens, cost and yield of all, with intervals.
    The stage finds these rows computed when it runs; its output is not touched.

    \b
    Example:
      kun plan label
      accelerate launch --config_file configs/accelerate/8gpu.yaml -m kun plan polish --rows 512
    """
    from kun.forecast import forecast

    project, params = _open()
    if told := forecast(project, params, stage, rows):
        click.echo(told)


@main.command()
def doctor() -> None:
    """Look at the environment, model, disk, GPU and git identity; exit 1 when something needs you.

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
    from kun.release.work import model_work, work_text

    project, params = _open()
    click.echo(funnel_text(funnel_frame(read_counts(project))))
    if work := model_work(project):
        click.echo(f"\n{work_text(work)}")
    click.echo(
        f"\ndataset  data/release ({params.release.name})\ncard     data/release/README.md\nreport   reports/report.html"
    )


def _open() -> "tuple[Project, Params]":
    from kun.config import load_params
    from kun.project import Project

    return Project(), load_params()


def _with_limit(section: Any, limit: int | None) -> Any:
    from dataclasses import replace

    return section if limit is None else replace(section, limit=limit)


def _evals(project: "Project", params: "Params") -> "EvalGrams":
    from kun.corpus.evals import load_evals

    wanted = params.decontaminate
    return load_evals(project.root / wanted.path, wanted.fields, wanted.ngram, wanted.both_scripts)


def _tell(counts: dict[str, Any] | None) -> None:
    """One line on stderr: rows in, kept, and the main reasons; nothing on helper ranks."""
    if counts is None:
        return
    reasons = ", ".join(f"{reason} {n}" for reason, n in list(counts["reasons"].items())[:6])
    _say(f"{counts['stage']}: {counts['rows_in']} in, {counts['kept']} kept" + (f" ({reasons})" if reasons else ""))


def _say(text: str) -> None:
    click.echo(text, err=True)
