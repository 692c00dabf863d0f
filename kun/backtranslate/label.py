"""Step 2 of Kun: the label model writes, for each raw text, the instruction that the text could be an answer to."""

from typing import Any

from kun.engine.base import Sampling
from kun.params import Engine, Label
from kun.project import Project
from kun.prompts import render
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, split_finished, within_context, within_limit


def label_prompt(text: str, lang: str) -> str:
    """The label model's user turn, in training and in use."""
    return render("label", lang, text=text)


def label(project: Project, params: Label, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Write one instruction for each text of the corpus; data/labelled. None on helper ranks and after a pilot."""
    texts = read_dataset(project.dataset("corpus"), ["id", "text", "source"])
    stage = ModelStage(project, "label", engine, adapter="label", pilot=pilot)
    chosen, beyond = within_limit(texts, params.limit)
    prompts = [stage.tokens.chat(label_prompt(text, params.lang)) for text in chosen["text"]]
    fitting, too_long = within_context(chosen, prompts, stage.tokens, engine.context - params.max_new_tokens)
    sampling = Sampling(params.max_new_tokens, params.temperature, params.top_p, params.repetition_penalty, params.seed)
    results = stage.generate(fitting["prompt"].to_list(), sampling)
    if results is None:
        return None
    done, failed = split_finished(fitting, results.rename({"text": "instruction"}), stage.failures)
    return close_stage(
        project,
        "label",
        "labelled",
        texts.height,
        done,
        [rejects(beyond, "label"), rejects(too_long, "label"), rejects(failed, "label", status="failed")],
    )
