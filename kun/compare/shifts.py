"""How two versions differ as a whole: lengths, scores, sources, reasons, parameters, models, inputs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from kun.compare.rows import SCORES
from kun.compare.versions import Version
from kun.release.facts import flat

Shift = list[dict[str, Any]]
"""Rows with a name, `before` and `after`."""
QUANTILES = (0.1, 0.5, 0.9)
LENGTHS = ("instruction", "output")
MODELS = ("base", "scorer")


def spread(files: list[Path]) -> dict[str, dict[str, float | None]]:
    """Mean and quantiles of lengths (characters) and scores of a dataset of pairs; what no row has is left out."""
    table = pl.scan_parquet(files)
    have = table.collect_schema().names()
    numbers = {f"{name} chars": pl.col(name).str.len_chars() for name in LENGTHS if name in have}
    numbers |= {name: pl.col(name) for name in SCORES if name in have and name != "rank"}
    wanted = [
        expression.alias(f"{name}\t{what}")
        for name, column in numbers.items()
        for what, expression in {
            "mean": column.mean(),
            **{f"p{q:.0%}"[:-1]: column.quantile(q) for q in QUANTILES},
        }.items()
    ]
    row = table.select(wanted).collect(engine="streaming").row(0, named=True) if wanted else {}
    found: dict[str, dict[str, float | None]] = {}
    for key, value in row.items():
        name, what = key.split("\t")
        if value is not None:
            found.setdefault(name, {})[what] = round(float(value), 4)
    return found


def spread_shift(before: list[Path], after: list[Path]) -> Shift:
    """Lengths and scores of both, one row a number."""
    left, right = spread(before), spread(after)
    names = dict.fromkeys([*left, *right])
    return [{"name": name, "before": left.get(name, {}), "after": right.get(name, {})} for name in names]


def count_shift(before: list[Path], after: list[Path], column: str) -> Shift:
    """Rows by the values of a column, the largest first."""
    counted = [
        pl.scan_parquet(files).group_by(column).len(name).collect(engine="streaming")
        for files, name in ((before, "before"), (after, "after"))
    ]
    both = counted[0].join(counted[1], on=column, how="full", coalesce=True).fill_null(0)
    ordered = both.sort(pl.max_horizontal("before", "after"), column, descending=[True, False])
    return [{"name": row[column] or "", "before": row["before"], "after": row["after"]} for row in ordered.to_dicts()]


def reason_shift(before: Version, after: Version) -> Shift:
    """Dropped and failed rows by stage and reason, where the number differs."""
    left, right = _reasons(before), _reasons(after)
    keys = list(dict.fromkeys([*left, *right]))
    return [
        {"stage": stage, "name": reason, "before": left.get((stage, reason), 0), "after": right.get((stage, reason), 0)}
        for stage, reason in keys
        if left.get((stage, reason), 0) != right.get((stage, reason), 0)
    ]


def _reasons(version: Version) -> dict[tuple[str, str], int]:
    files = [name for name in version.listed("reports/counts") if name.endswith(".json")]
    counts = [version.json(f"reports/counts/{name}") for name in files]
    return {(one["stage"], reason): rows for one in counts for reason, rows in one.get("reasons", {}).items()}


def param_shift(before: Version, after: Version) -> Shift:
    """Leaves of params.yaml that differ; None where one version has no such key."""
    return _differing(leaves(before.params), leaves(after.params))


def _differing(left: Mapping[str, Any], right: Mapping[str, Any]) -> Shift:
    """Keys whose values differ, in the order of the first version; None where one has no such key."""
    keys = dict.fromkeys([*left, *right])
    both = [{"name": key, "before": left.get(key), "after": right.get(key)} for key in keys]
    return [one for one in both if one["before"] != one["after"]]


def leaves(tree: Any, above: str = "") -> dict[str, Any]:
    """Dotted key -> value; lists are values."""
    if not isinstance(tree, dict) or not tree:
        return {above: tree} if above else {}
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= leaves(value, f"{above}.{name}" if above else str(name))
    return found


def model_shift(before: Version, after: Version) -> Shift:
    """Pinned and trained models that are others: name and fingerprint of models/*.json, hashes of trained ones."""
    return _differing(_models(before), _models(after))


def _models(version: Version) -> dict[str, str]:
    found = {}
    for file in version.listed("models"):
        if file.endswith(".json"):
            pin = version.json(f"models/{file}")
            found[Path(file).stem] = f"{pin.get('name', '?')} {str(pin.get('fingerprint', ''))[:12]}".strip()
    outs = (out for stage in version.lock.values() for out in stage.get("outs", []))
    trained = {out["path"]: out.get("md5", "") for out in outs if out["path"].startswith("models/")}
    return found | {
        path.removeprefix("models/"): f"trained {md5[:12]}"
        for path, md5 in trained.items()
        if not path.endswith(".json")
    }


def input_shift(before: Version, after: Version) -> Shift:
    """What no stage makes and the stages depend on (raw data, prompts, code), where it differs: hashes of dvc.lock."""
    return _differing(_inputs(before), _inputs(after))


def _inputs(version: Version) -> dict[str, str]:
    stages = list(version.lock.values())
    made = {out["path"] for stage in stages for out in stage.get("outs", [])}
    deps = (dep for stage in stages for dep in stage.get("deps", []))
    return {
        dep["path"]: dep.get("md5", "")[:12]
        for dep in deps
        if dep["path"] not in made and not dep["path"].startswith("reports/")
    }


def metrics(version: Version) -> dict[str, Any]:
    """metrics.json, and the numbers of reports/evaluate.json under evaluate."""
    evaluated = flat(version.json("reports/evaluate.json"))
    numbers = {f"evaluate.{key}": value for key, value in evaluated.items() if isinstance(value, int | float)}
    return version.json("metrics.json") | numbers


def metric_shift(before: Version, after: Version) -> Shift:
    """Metrics that differ."""
    return _differing(metrics(before), metrics(after))


def shown(value: Any) -> str:
    """A value of a parameter or metric on one line."""
    if value is None:
        return "–"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
