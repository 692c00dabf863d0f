"""Questions on sampled key concepts of one session or two, with the whole syllabus in view."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from kun.backtranslate.measures import longest_common
from kun.corpus.letters import comparable
from kun.engine.base import Sampling
from kun.engine.records import Refusal
from kun.glan.ask import Told, ask
from kun.glan.names import record_id
from kun.glan.records import question_schema, read_question
from kun.glan.samples import Sample, draw_samples
from kun.params import Engine, Glan
from kun.project import Project
from kun.prompts import render
from kun.schemas.glan import GLAN_QUESTION
from kun.schemas.schema import Schema
from kun.tables.ledger import close_stage, rejects
from kun.tables.shards import read_dataset
from kun.work.pilot import Pilot
from kun.work.stage import ModelStage, within_context, writing_stage

STAGE = "glan/questions"
ECHO = {"zh": 7, "en": 32}
"""Characters in a row that a question may not share with the words of its request. A choice."""
SAMPLE: Schema = {name: kind for name, kind in GLAN_QUESTION.items() if name != "question"} | {
    "name": pl.String,  # of the subject
    "level_raw": pl.String,
    "syllabus": pl.String,
    "source": pl.String,
    "session_names": pl.List(pl.String),
    "concepts": pl.List(pl.String),
    "about": pl.String,  # the concepts, for the ledger
}
"""A sample, with all that its prompt names."""


def questions(project: Project, params: Glan, engine: Engine, pilot: Pilot | None = None) -> dict[str, Any] | None:
    """Draw up to `glan.questions` samples of each subject and ask one question of each; data/glan/questions.

    None on helper ranks and after a pilot.
    """
    samples = _samples(_subjects(project), params)
    chosen, beyond = _in_turn(samples, params.discipline_questions)
    stage = writing_stage(project, STAGE, engine, params.questioner, pilot)
    prompts = [stage.tokens.chat(question_prompt(row, params.lang)) for row in chosen.iter_rows(named=True)]
    fitting, too_long = within_context(chosen, prompts, stage.tokens, engine.context - params.record_tokens)
    told = _asked(stage, fitting, params)
    if told is None:
        return None
    done = told.rows.with_columns(pl.Series("question", told.replies, dtype=pl.String))
    kept, twins = _once(done)
    rejected = [
        rejects(beyond, STAGE, excerpt="about"),
        rejects(too_long, STAGE, excerpt="about"),
        rejects(told.failed, STAGE, status="failed"),
        rejects(twins, STAGE, excerpt="question"),
    ]
    return close_stage(project, STAGE, "glan/questions", samples.height, kept, rejected)


def question_prompt(row: Mapping[str, Any], lang: str) -> str:
    """Ask for one question: the whole syllabus, the sessions, the key concepts."""
    sign = "、" if lang == "zh" else "; "
    return render(
        f"glan_question_{row['strategy']}",
        lang,
        subject=row["name"],
        level=row["level_raw"],
        syllabus=row["syllabus"],
        sessions=sign.join(row["session_names"]),
        concepts=sign.join(row["concepts"]),
    )


def own_words(question: str | Refusal, lang: str) -> str | Refusal:
    """The question, unless the words of the request stand in it, which a small model hands back."""
    if isinstance(question, Refusal):
        return question
    blanks = dict.fromkeys(("subject", "level", "syllabus", "sessions", "concepts"), "\n")
    requests = [render(f"glan_question_{strategy}", lang, **blanks) for strategy in ("single", "double")]
    told = max(longest_common(question.casefold(), request.casefold()) for request in requests)
    return Refusal("prompt_echo", question) if told >= ECHO[lang] else question


def _subjects(project: Project) -> list[dict[str, Any]]:
    """Each subject that has sessions, with its syllabus, its sessions and where it belongs, in the order of the table."""
    sessions = read_dataset(project.dataset("glan/sessions")).group_by("subject_id", maintain_order=True)
    rows = read_dataset(project.dataset("glan/subjects"))
    for name, columns in (
        ("glan/syllabi", {"id": "id", "syllabus": "text"}),
        ("glan/nodes", {"discipline_id": "id", "source": "path"}),
    ):
        table = read_dataset(project.dataset(name)).select(**columns)
        rows = rows.join(table, on=next(iter(columns)), how="left", maintain_order="left")
    of_subject = {id: table.to_dicts() for (id,), table in sessions}
    return [row | {"sessions": of_subject[row["id"]]} for row in rows.iter_rows(named=True) if row["id"] in of_subject]


def _samples(subjects: list[dict[str, Any]], params: Glan) -> pl.DataFrame:
    rows = []
    for subject in subjects:
        sizes = [len(session["concepts"]) for session in subject["sessions"]]
        drawn = draw_samples(
            sizes, params.questions, params.p_double, params.sampling, params.seed, "sample", subject["id"]
        )
        rows += [_row(subject, sample, draw) for draw, sample in enumerate(drawn)]
    return pl.DataFrame(rows, schema=SAMPLE)


def _row(subject: dict[str, Any], sample: Sample, draw: int) -> dict[str, Any]:
    sessions = [subject["sessions"][place] for place in sample.sessions]
    chosen = [(subject["sessions"][session], concept) for session, concept in sample.concepts]
    ids = {"session_ids": [one["id"] for one in sessions], "concept_ids": [one["concept_ids"][n] for one, n in chosen]}
    key = {name: sorted(values) for name, values in ids.items()}
    own = {name: subject[name] for name in ("discipline_id", "name", "level_raw", "syllabus", "source")}
    return own | {
        "id": record_id(subject_id=subject["id"], strategy=sample.strategy, **key),
        "subject_id": subject["id"],
        "strategy": sample.strategy,
        "draw": draw,
        **ids,
        "session_names": [one["name"] for one in sessions],
        "concepts": [one["concepts"][n] for one, n in chosen],
        "about": " / ".join(one["concepts"][n] for one, n in chosen),
    }


def _in_turn(samples: pl.DataFrame, limit: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first `limit` samples of each discipline, taken from its subjects in turn; the rest as dropped rows."""
    ordered = samples.sort("draw", maintain_order=True)
    place = pl.int_range(pl.len()).over("discipline_id")
    beyond = place >= limit if limit else pl.lit(False)
    rest = ordered.filter(beyond).with_columns(reason=pl.lit("limit"), value=pl.lit(""), threshold=pl.lit(str(limit)))
    return ordered.filter(~beyond), rest


def _asked(stage: ModelStage, rows: pl.DataFrame, params: Glan) -> Told | None:
    sampling = Sampling(
        params.record_tokens,
        params.record_temperature,
        params.top_p,
        params.repetition_penalty,
        params.seed,
    )

    def parse(_: dict[str, Any], text: str, finish: str) -> Any:
        return own_words(read_question(text, finish, params.min_question, params.lang), params.lang)

    return ask(stage, rows, sampling, parse, params.attempts, question_schema(params.lang, params.plain))


def _once(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Questions that no earlier one of the discipline says letter for letter; the others as dropped rows."""
    marked = rows.with_columns(pl.Series("letters", comparable(rows["question"].to_list()), dtype=pl.String))
    first = pl.struct("discipline_id", "letters").is_first_distinct()
    twins = marked.filter(~first).with_columns(
        reason=pl.lit("duplicate"), value=pl.col("question"), threshold=pl.lit("once in a discipline")
    )
    return marked.filter(first), twins
