"""Supervised fine-tuning of the label model or the chat model; a killed run goes on, a finished one is not repeated."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import polars as pl

from kun import processes
from kun.errors import InputError
from kun.models import load_tokens, locate, read_base
from kun.params import Params, TrainTask
from kun.project import Project
from kun.tables.shards import read_dataset, write_json
from kun.train.batches import in_order
from kun.train.curves import write_curves, write_speed
from kun.train.examples import Encoded, build_examples, encode
from kun.train.fit import COMPLETE, Job, fit
from kun.work.scratch import Scratch, content_key

VERSION = 4  # part of the run's key: raise it when kun/train changes what is learned, or which epoch is kept

NOT_LEARNED = ("label", "chat", "save_steps", "gradient_checkpointing")
"""Parameters that do not decide what comes out, or stand in the key by themselves."""

Units = list[list[Encoded]]


def train(project: Project, name: str, params: Params) -> dict[str, Any] | None:
    """Train models/<name> (`label` or `chat`) from data/seeds; returns its summary, None on helper ranks.

    The epoch with the lowest held-out loss is kept. Checkpoints live in scratch under a key of everything that decides
    the result, so a rerun continues a killed run and costs nothing after a finished one.
    """
    seeds, task = read_dataset(project.dataset("seeds")), getattr(params.train, name)
    made = {}
    for split in ("train", "heldout"):
        rows = seeds.filter(pl.col("split") == split)
        share = rows.height / max(seeds.height - rows.height, 1) if split == "heldout" else 1.0
        made[split] = _encoded(project, rows, task, params, share)
    source = "data/seeds (pairs with an input make none for labelling and polishing)"
    return learn(project, name, params, made, task.epochs, source)


def learn(
    project: Project, name: str, params: Params, made: dict[str, Units], epochs: int, source: str, pipeline: str = ""
) -> dict[str, Any] | None:
    """Train models/<name> on the examples `train` and `heldout`, made from `source`; reports go to those of `pipeline`."""
    units = {split: _short_enough(part, params.train.max_length) for split, part in made.items()}
    for split, part in units.items():
        if not part:
            raise InputError(
                f"no {split} examples for {name}: {_size(made[split])} were made from {source}, "
                f"none has at most train.max_length {params.train.max_length} tokens; add seeds, or raise "
                "train.max_length or seeds.heldout"
            )
    base = read_base(project)
    identity = {
        "version": VERSION,
        "model": base.fingerprint,
        "dtype": params.engine.dtype,
        "train": {key: value for key, value in asdict(params.train).items() if key not in NOT_LEARNED},
        "epochs": epochs,
        "data": content_key([[[asdict(e) for e in unit] for unit in part] for part in made.values()]),
    }
    scratch = Scratch(project.scratch, f"train-{name}", identity, {})
    batch_rows = min(params.train.batch_rows, _size(units["train"]))
    rows = in_order(units["train"], epochs, batch_rows, params.train.seed)
    heldout = [vars(example) for unit in units["heldout"] for example in unit]
    job = Job(name, scratch.folder, locate(project, base), params, rows, heldout, batch_rows, epochs)
    is_main = processes.rank() == 0
    with scratch.locked() if is_main else nullcontext():  # the other ranks belong to the holder
        if not job.finished:
            fit(job)
    if not is_main:
        return None
    _publish(project, job)
    return _report(project, job, made, units, pipeline)


def _encoded(project: Project, rows: pl.DataFrame, task: TrainTask, params: Params, share: float = 1.0) -> Units:
    """Examples of the task from pairs (instruction, input, output); `share` as in `build_examples`."""
    tokens, end_token = load_tokens(project), read_base(project).end_token
    made = build_examples(rows, task, params, share)
    return [[encode(example, tokens, end_token) for example in unit] for unit in made]


def _short_enough(units: Units, longest: int) -> Units:
    return [unit for unit in units if all(len(example.input_ids) <= longest for example in unit)]


def _size(units: Units) -> int:
    return sum(map(len, units))


def _publish(project: Project, job: Job) -> None:
    """Copy the best epoch to models/<name>."""
    target = project.adapter(job.name)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(job.best, target, ignore=shutil.ignore_patterns(COMPLETE, "README.md"))
    base = read_base(project)
    (target / "chat_template.jinja").write_text(base.chat_template, encoding="utf-8")
    config = target / "adapter_config.json"
    if config.is_file():  # peft writes the path of this machine, and a set in an order that changes from run to run
        told = json.loads(config.read_text())
        own = {"base_model_name_or_path": base.name, "target_modules": sorted(told["target_modules"])}
        write_json(config, told | own)


def _report(
    project: Project, job: Job, made: dict[str, Units], units: dict[str, Units], pipeline: str
) -> dict[str, Any]:
    """Write summary and curves to reports/train, what the run took to reports/work; returns the summary.

    Nothing that hangs on a clock stands in reports/train: later stages read it.
    """
    history = json.loads(job.history.read_text(encoding="utf-8"))
    best = min(history["epochs"], key=lambda entry: entry["heldout_loss"])
    summary = {
        "method": job.params.train.method,
        "examples": {split: _size(part) for split, part in units.items()},
        "left_out": sum(map(_size, made.values())) - sum(map(_size, units.values())),
        "tokens_per_epoch": sum(len(example.input_ids) for unit in units["train"] for example in unit),
        "best_epoch": best["epoch"],
        "heldout_loss": round(best["heldout_loss"], 4),
        "history": [
            {key: value if key == "epoch" else round(value, 4) for key, value in entry.items()}
            for entry in history["epochs"]
        ],
    }
    reports = project.root / "reports" / pipeline
    write_json(reports / "train" / f"{job.name}.json", summary)
    write_curves(reports / "train" / job.name, history["epochs"], history["steps"], job.steps_per_epoch)
    write_json(reports / "work" / f"train-{job.name}.json", history["work"])
    write_speed(reports / "work" / f"train-{job.name}.tsv", history["steps"])
    return summary
