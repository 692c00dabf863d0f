"""Step 5 of Kun: the chat model rewrites the raw text into an answer to its instruction."""

import re
from typing import Any

import polars as pl

from kun.backtranslate.measures import copy_rate, support
from kun.engine.base import Sampling, Tokens
from kun.params import Engine, Judge, Polish
from kun.project import Project
from kun.prompts import render
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, split_by_rules
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, split_finished, within_limit

SENTENCE = re.compile(r"[^。！？!?；;\n]*[。！？!?；;\n]+[”’」』）)]*|[^。！？!?；;\n]+$")


def polish_prompt(text: str, instruction: str, lang: str) -> str:
    """The polishing user turn, in training and in use: the instruction stands last and is never cut."""
    return render("polish", lang, text=text, instruction=instruction)


def polish(
    project: Project, params: Polish, judge: Judge, engine: Engine, pilot: Pilot | None = None
) -> dict[str, Any] | None:
    """Write one answer for each instruction at or above `judge.floor`; data/polished.

    None on helper ranks and after a pilot.
    """
    judged = read_dataset(project.dataset("judged"), ["id", "p_good"])
    split = split_by_rules(_with_texts(project, judged), {"judge_floor": floor_rule(judge.floor)})
    chosen, beyond = within_limit(split.kept, params.limit)
    stage = ModelStage(project, "polish", engine, adapter="chat", pilot=pilot)
    budgeted = chosen.with_columns(_budgeted(chosen, stage.tokens, params, engine.context))
    fits = split_by_rules(budgeted, {"text_budget": _budget_rule(params)})
    results = stage.generate(
        fits.kept["prompt"].to_list(),
        Sampling(params.max_new_tokens, params.temperature, params.top_p, params.repetition_penalty, params.seed),
    )
    if results is None:
        return None
    done, failed = split_finished(fits.kept.rename({"text": "raw"}), results.rename({"text": "answer"}), stage.failures)
    dropped = [rejects(part, "polish", excerpt="instruction") for part in (split.dropped, beyond, fits.dropped)]
    lost = rejects(failed, "polish", status="failed", excerpt="instruction")
    return close_stage(project, "polish", "polished", judged.height, _measured(done), [*dropped, lost])


def floor_rule(floor: float) -> Rule:
    """Instructions below the floor are not worth an answer, whatever the threshold will be."""
    return Rule(pl.col("p_good") >= floor, pl.col("p_good").round(4), floor)


def shortened(text: str, tokens: Tokens, budget: int) -> str:
    """The longest run of whole leading sentences that has at most `budget` tokens; "" when not even the first fits."""
    sentences = SENTENCE.findall(text)
    sizes = tokens.count(sentences)
    kept, total = 0, 0
    # Tokens of parts add up to at least those of the whole, so the sum is a safe bound.
    while kept < len(sentences) and total + sizes[kept] <= budget:
        total += sizes[kept]
        kept += 1
    return "".join(sentences[:kept]).strip()


def _with_texts(project: Project, judged: pl.DataFrame) -> pl.DataFrame:
    instructions = read_dataset(project.dataset("instructions"))
    texts = read_dataset(project.dataset("corpus"), ["id", "text", "source"])
    for table in (instructions, texts):
        judged = judged.join(table, on="id", how="left", maintain_order="left")
    return judged


def _budgeted(rows: pl.DataFrame, tokens: Tokens, params: Polish, context: int) -> list[pl.Series]:
    """Columns prompt, shortened, text_tokens, fits: the whole rendered prompt plus the output limit within `context`."""
    prompts, cut, sizes, fits = [], [], [], []
    room = context - params.max_new_tokens
    pairs = list(rows.select("text", "instruction").iter_rows())
    whole = [tokens.chat(polish_prompt(text, instruction, params.lang)) for text, instruction in pairs]
    for (text, instruction), prompt, size in zip(pairs, whole, tokens.count(whole), strict=True):
        kept, budget = text, tokens.count([text])[0]
        while size > room and kept:
            # More than once only when tokens merge across the ends of the text, so that its own count says too little.
            budget -= size - room
            kept = shortened(text, tokens, budget)
            prompt = tokens.chat(polish_prompt(kept, instruction, params.lang))
            size = tokens.count([prompt])[0]
        prompts.append(prompt)
        cut.append(kept != text)
        sizes.append(tokens.count([kept])[0])
        fits.append(size <= room)
    return [
        pl.Series("prompt", prompts, dtype=pl.String),
        pl.Series("shortened", cut, dtype=pl.Boolean),
        pl.Series("text_tokens", sizes, dtype=pl.Int64),
        pl.Series("fits", fits, dtype=pl.Boolean),
    ]


def _budget_rule(params: Polish) -> Rule:
    enough = ~pl.col("shortened") | (pl.col("text_tokens") >= params.min_text_tokens)
    return Rule(pl.col("fits") & enough, pl.col("text_tokens"), params.min_text_tokens)


def _measured(done: pl.DataFrame) -> pl.DataFrame:
    pairs = list(done.select("answer", "raw").iter_rows())
    return done.with_columns(
        copy_rate=pl.Series([copy_rate(answer, raw) for answer, raw in pairs], dtype=pl.Float64),
        support=pl.Series([support(answer, raw) for answer, raw in pairs], dtype=pl.Float64),
        length_ratio=pl.Series([len(answer) / max(len(raw), 1) for answer, raw in pairs], dtype=pl.Float64),
    )
