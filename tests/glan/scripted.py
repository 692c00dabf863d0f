"""A model that writes what the schema asks for, from hashes; some of its replies are garbage. Beside it a small project."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kun.corpus.evals import EvalGrams
from kun.engine.base import Completion, Gauge, Sampling
from kun.glan.answers import answers
from kun.glan.coverage import coverage
from kun.glan.lists import lists
from kun.glan.pairs import pairs
from kun.glan.questions import questions
from kun.glan.sessions import sessions
from kun.glan.subjects import subjects
from kun.glan.syllabi import syllabi
from kun.glan.taxonomy import taxonomy
from kun.params import Glan
from kun.project import Project
from tests.made import PARAMS, changed, engine

GARBAGE = (
    ("", "empty"),
    ("好的，下面是整理的结果。", "stop"),
    ('{"subjects": [{"name": "光', "length"),
    ('{"subjects": [], "sessions": []}', "stop"),
    ('```json\n{"sessions": [{"name": 3}],}\n```', "stop"),
    ('{"question": "什么？"}', "stop"),
)
STAGES = ("taxonomy", "lists", "subjects", "syllabi", "sessions", "questions", "answers", "pairs", "coverage")
DATASETS = {stage: "nodes" if stage == "taxonomy" else stage for stage in STAGES}
MODEL_STAGES = STAGES[1:7]
NO_EVALS = EvalGrams([], 13)

TAXONOMY = """
fields:
  science: {zh: 科学, en: Science}
  crafts: {zh: 手艺, en: Crafts}
subfields:
  physics: {parent: science, zh: 物理, en: Physics}
disciplines:
  optics: {parent: physics, zh: 光学, en: Optics}
  heat: {parent: physics, zh: 热学, en: Heat}
  pottery: {parent: crafts, zh: 制陶, en: Pottery}
"""


class Scripted:
    """Implements what `ModelStage` asks of a model."""

    def __init__(self, garbage: int = 0) -> None:
        """`garbage`: percent of the replies that cannot be used."""
        self._garbage = garbage
        self.calls: list[tuple[str, Sampling]] = []
        self.batches: list[int] = []
        self.schemas: set[str] = set()

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, schemas: Sequence[str] = (), seeds: Sequence[int] = ()
    ) -> list[Completion]:
        self.batches.append(len(prompts))
        held = list(schemas) or [""] * len(prompts)
        drawn = [replace(sampling, seed=seed) for seed in seeds or [sampling.seed] * len(prompts)]
        self.calls += zip(prompts, drawn, strict=True)
        self.schemas |= set(held)
        return [self._reply(*row) for row in zip(prompts, drawn, held, strict=True)]

    def gauge(self) -> Gauge:
        return Gauge("none")

    def _reply(self, prompt: str, sampling: Sampling, schema: str) -> Completion:
        number = int(hashlib.sha256(f"{sampling.seed}{prompt}".encode()).hexdigest(), 16)
        if number % 100 < self._garbage:
            text, finish = GARBAGE[number // 100 % len(GARBAGE)]
        else:
            text, finish = written(schema, number), "stop"
        return Completion(text, finish, len(text))


def written(schema: str, number: int) -> str:
    """A reply that satisfies the schema."""
    named = list(json.loads(schema)["properties"]) if schema else [""]
    if named == ["subjects"]:
        chosen = {f"科目{number // 7**place % 6}" for place in range(3)}
        return _json(subjects=[{"name": name, "level": "100级", "topics": ["甲", "乙"]} for name in sorted(chosen)])
    if named == ["sessions"]:
        concepts = [f"概念{number % 97}之{place}" for place in range(3)]
        return _json(sessions=[{"name": f"第{place}课", "concepts": concepts} for place in (1, 2, 3)])
    if named == ["question"]:
        return _json(question=f"请说明现象{number % 10**9}的原因是什么？")
    return f"第一行{number % 10**9}，说明要学的内容。\n第二行，说明先后次序。"


def _json(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False)


def params(**values: object) -> Glan:
    """Small, with the base model, so that no adapter is needed."""
    small = dict.fromkeys(("teacher", "questioner", "answerer"), "models/base.json") | {"disciplines": [], "queries": 3}
    small |= {"subjects": 3, "questions": 4, "thin": 2}
    return changed(PARAMS.glan, **(small | values))


def write_taxonomy(root: Path, text: str = TAXONOMY, votes: str = "", proposed: str = "disciplines: {}\n") -> Path:
    folder = root / "data" / "glan"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "taxonomy.yaml").write_text(text, encoding="utf-8")
    (folder / "proposed.yaml").write_text(proposed, encoding="utf-8")
    (folder / "votes.csv").write_text(f"node,annotator,vote\n{votes}", encoding="utf-8")
    return folder


def run(project: Project, glan: Glan, evals: EvalGrams = NO_EVALS) -> dict[str, dict[str, object]]:
    """All stages in order -> their counts."""
    own = engine("fake")
    counts = {"taxonomy": taxonomy(project, glan)}
    for stage in (lists, subjects, syllabi, sessions, questions, answers):
        counts[stage.__name__] = stage(project, glan, own)  # type: ignore[assignment]
    counts["pairs"] = pairs(project, glan, evals)
    counts["coverage"] = coverage(project, glan)
    return counts
