"""`kun plan`: what a model stage will take and give, from a pilot whose rows the real run finds in scratch."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import polars as pl

from kun import processes
from kun.backtranslate.judge import calibration, judge, scores
from kun.backtranslate.label import label
from kun.backtranslate.polish import polish
from kun.corpus.perplexity import perplexity
from kun.errors import ConfigError
from kun.params import Params
from kun.project import Project
from kun.select.losses import losses
from kun.work.pilot import Estimate, Measured, Pilot, rest_of, share

Passing = Mapping[str, pl.Series]
"""What a row must do to count -> whether each does."""


def forecast(project: Project, params: Params, stage: str, rows: int) -> str | None:
    """Compute up to `rows` missing rows of the stage and tell of the others, as a table; None on helper ranks.

    Nothing but scratch is written.
    """
    if stage == "perplexity" and params.perplexity.backend == "kenlm":
        raise ConfigError(
            "perplexity.backend is kenlm: no model works in it, and it is done in seconds; run `kun perplexity`"
        )
    if stage == "losses" and params.losses.model == "none":
        raise ConfigError("losses.model is none: no model works in it; name a scorer")
    pilot = Pilot(rows)
    _run(project, params, stage, pilot)
    return None if processes.rank() != 0 else _table(project, params, stage, pilot)


def _run(project: Project, params: Params, stage: str, pilot: Pilot) -> None:
    runs: dict[str, Callable[..., Any]] = {
        "perplexity": partial(perplexity, project, params.perplexity),
        "label": partial(label, project, params.label),
        "judge": partial(judge, project, params.judge),
        "polish": partial(polish, project, params.polish, params.judge),
        "losses": partial(losses, project, params.losses),
    }
    runs[stage](params.engine, pilot)


def _passing(project: Project, params: Params, stage: str, results: pl.DataFrame) -> Passing:
    """What becomes of finished rows, in the words of the rules that will look at them."""
    if stage == "losses":
        return {"passes scored": pl.repeat(True, results.height, eager=True)}
    if stage == "perplexity":
        return {"rows scored": pl.repeat(True, results.height, eager=True)}
    if stage == "judge":
        p_good = scores(results, params.judge, calibration(project, params.judge))["p_good"].fill_null(-1.0)
        limits = {"judge.floor": params.judge.floor, "judge.threshold": params.judge.threshold}
        return {f"p_good >= {name} ({limit:g})": p_good >= limit for name, limit in limits.items()}
    return {"rows that end by themselves": results["finish"] == "stop"}


def _table(project: Project, params: Params, stage: str, pilot: Pilot) -> str:
    total, rest = len(pilot.costs), pilot.rest
    done = total - len(rest)
    asked = len(pilot.sampled)
    head = f"{stage}: {total:,} rows, {done:,} in scratch ({asked:,} of them by this pilot), {len(rest):,} to do"
    lines = ["", *_rest(pilot, pilot.measured, params)] if rest and pilot.measured else []
    return "\n".join([head, *lines, "", *_yields(project, params, stage, pilot)])


def _rest(pilot: Pilot, told: Measured, params: Params) -> list[str]:
    rest, n = rest_of(pilot, told, params.engine), told.processes
    read = sum(pilot.tokens[key] for key in pilot.rest)
    lines = [
        _line("of the rows to do", "estimate", "95% interval"),
        _line("tokens in", f"{read:,}", "counted"),
        _line("tokens out", *_both(rest.tokens_out, _whole)),
        _line("time", *_both(rest.seconds, duration)),
        _line("device-hours", *_both(_scaled(rest.device_seconds, 1 / 3600), "{:,.3g}".format)),
    ]
    if rest.cost.value:
        lines.append(_line("cost", *_both(rest.cost, "{:,.4g}".format)))
    lines += ["", f"with {n} process{'es' if n > 1 else ''} on {told.where}, {told.loading:.0f} s of loading included"]
    largest = max(map(len, told.batches))
    if rest.largest > 1.5 * largest:
        lines.append(
            f"the run takes {rest.largest} rows at a time, the pilot took {largest}: expect less time, or give --rows "
            f"{4 * rest.largest}"
        )
    return lines


def _yields(project: Project, params: Params, stage: str, pilot: Pilot) -> list[str]:
    """Of the whole stage: what is in scratch is certain, the others are like the pilot's rows."""
    lines = [_line("of the whole stage", "estimate", "95% interval")]
    sampled = pilot.results["key"].is_in(pilot.sampled)
    rest, total = len(pilot.rest), len(pilot.costs)
    for name, passing in _passing(project, params, stage, pilot.results).items():
        # Rows of the pilot that failed have no result and pass nothing.
        part = share(int((passing & sampled).sum()), len(pilot.sampled))
        rows = _scaled(part, rest).plus(int(passing.sum())) if rest else Estimate(*[float(passing.sum())] * 3)
        lines.append(_line(name, *_both(rows, _whole), f"{rows.value / max(total, 1):.0%}"))
    return lines


def _both(estimate: Estimate, told: Callable[[float], str]) -> tuple[str, str]:
    return told(estimate.value), f"{told(estimate.low)} - {told(estimate.high)}"


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    return Estimate(estimate.value * factor, estimate.low * factor, estimate.high * factor)


def _line(name: str, *cells: str) -> str:
    return f"{name:<34}{cells[0]:>14}  {'  '.join(cells[1:])}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    """45 s, 12.5 min, 3.4 h."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"
