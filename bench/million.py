"""A project of made Chinese rows, as large as asked for: every dataset, ledger and count of the main line, no model.

The stages' own `close_stage` writes it, so that files, shards and books are like those of a run.
"""

import shutil
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from kun.config import load_params
from kun.project import Project
from kun.schemas.corpus import CLEAN, PERPLEXITY, TEXT
from kun.schemas.pairs import INSTRUCTION, JUDGED, LABELLED, PAIR, POLISHED
from kun.schemas.schema import conform
from kun.schemas.select import LOSSES, SELECTED
from kun.select.choose import select
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, split_by_rules
from kun.tables.shards import write_dataset, write_json
from kun.whatif.texts import evals

ROOT = Path(__file__).parents[1]
SENTENCES, TOPICS = 20_000, 50_000
SOURCES = {"encyclopedia": 0.3, "forum": 0.3, "howto": 0.2, "essays/tea": 0.1, "essays/city": 0.1}
COMMON = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多"
    "定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前"
)
ASKED = ("请介绍一下{}", "{}有哪些特点？", "怎样才能学会{}？", "为什么{}这样重要？", "用几句话说明{}的来历")


def make_project(root: Path, rows: int, seed: int = 7) -> Project:
    """`rows` records that were ingested, and what became of them; about two thirds reach data/selected."""
    project, rng = Project(root), np.random.default_rng(seed)
    copy_settings(root)
    texts = _corpus(project, _texts(rows, rng), rng)
    pairs = _pairs(project, texts, rng)
    _selected(project, pairs, rng)
    return project


def copy_settings(root: Path) -> None:
    """What is no dataset: parameters, word lists, evaluation sets, reports of models and training."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("params.yaml", "dvc.yaml", "models/base.json", "reports/evaluate.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    params = root / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("  limit: 100 ", "  limit: 0 "), encoding="utf-8")
    for name in ("data/unsafe", "data/eval", "reports/train", "reports/checks", "reports/work"):
        shutil.copytree(ROOT / name, root / name)


def _phrases(number: int, low: int, high: int, rng: np.random.Generator) -> pl.Series:
    """Distinct-looking runs of frequent characters."""
    letters = np.array(list(COMMON))
    sizes = rng.integers(low, high, number)
    drawn = "".join(letters[rng.integers(len(letters), size=int(sizes.sum()))])
    ends = np.cumsum(sizes).tolist()
    return pl.Series([drawn[start:end] for start, end in zip([0, *ends], ends, strict=False)])


def _texts(rows: int, rng: np.random.Generator) -> pl.DataFrame:
    """data/ingested: six sentences of a pool; one text in ten has a single short one."""
    pool = _phrases(SENTENCES, 18, 40, rng) + "。"
    parts = [pool.gather(rng.integers(SENTENCES, size=rows)) for _ in range(6)]
    short = pl.Series(rng.random(rows) < 0.1)
    names = pl.Series(list(SOURCES)).gather(rng.choice(len(SOURCES), size=rows, p=list(SOURCES.values())))
    frame = pl.DataFrame({"id": _ids(rows, rng), "source": names, "short": short, **_numbered(parts)})
    number = pl.int_range(1, pl.len() + 1)
    rest = pl.when("short").then(pl.lit("")).otherwise(pl.concat_str(f"p{place}" for place in range(1, 6)))
    told = frame.with_columns(text=pl.concat_str("p0", rest), origin=pl.format("{}.jsonl:{}", "source", number))
    told = told.with_columns(title=pl.lit(""), lang=pl.lit("zh"), n_chars=pl.col("text").str.len_chars())
    return conform(told, TEXT)


def _ids(rows: int, rng: np.random.Generator) -> pl.Series:
    """Like hashes: 32 hexadecimal digits."""
    digits = rng.bytes(16 * rows).hex()
    return pl.Series([digits[start : start + 32] for start in range(0, 32 * rows, 32)])


def _numbered(parts: list[pl.Series]) -> dict[str, pl.Series]:
    return {f"p{place}": part for place, part in enumerate(parts)}


def _step(project: Project, stage: str, dataset: str, rows: pl.DataFrame, rules: dict[str, Rule]) -> pl.DataFrame:
    """Close a stage by rules; the rows that it keeps."""
    split = split_by_rules(rows, rules)
    excerpt = next(name for name in ("answer", "instruction", "text") if name in rows.columns)
    close_stage(project, stage, dataset, rows.height, split.kept, [rejects(split.dropped, stage, excerpt=excerpt)])
    return split.kept


def _by_chance(name: str, kept: float, rng: np.random.Generator, rows: int) -> dict[str, Rule]:
    """A rule that keeps that share of the rows."""
    drawn = pl.Series(rng.random(rows))
    return {name: Rule(pl.lit(drawn) < kept, pl.lit("1"), "none")}


def _corpus(project: Project, texts: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    texts = _step(project, "ingest", "ingested", texts, {})
    counted = texts.with_columns(n_tokens=pl.col("n_chars") * 2 // 3)
    long_enough = Rule(pl.col("n_chars") >= 50, pl.col("n_chars"), ">= 50")
    texts = _step(project, "clean", "cleaned", counted, {"too_short": long_enough})
    texts = _step(project, "dedup", "deduped", texts, _by_chance("near_duplicate", 0.97, rng, texts.height))
    texts = _step(
        project, "decontaminate", "decontaminated", texts, _by_chance("contaminated", 0.998, rng, texts.height)
    )
    loss = pl.Series(rng.normal(3.5, 0.5, texts.height)).round(4)
    scored = texts.select("id", "source", "text", n_scored=pl.lit(24), loss=loss, ppl=loss.exp())
    _step(project, "perplexity", "perplexity", conform_with(scored, PERPLEXITY), {})
    band = texts.with_columns(ppl=loss.exp())
    middle = Rule(
        pl.col("ppl").is_between(pl.col("ppl").quantile(0.02), pl.col("ppl").quantile(0.95)), pl.col("ppl"), 0.95
    )
    return _step(project, "corpus", "corpus", band, {"perplexity_high": middle}).select(list(CLEAN))


def conform_with(rows: pl.DataFrame, schema: dict[str, object]) -> pl.DataFrame:
    """Rows as they are; an error when a column of the schema is missing."""
    assert set(schema) <= set(rows.columns), set(schema) - set(rows.columns)
    return rows


def _pairs(project: Project, texts: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    rows = texts.height
    topics = _phrases(TOPICS, 4, 9, rng)
    asked = pl.Series(list(ASKED)).gather(rng.integers(len(ASKED), size=rows))
    both = topics.gather(rng.integers(TOPICS, size=rows)) + "与" + topics.gather(rng.integers(TOPICS, size=rows))
    instruction = pl.select(pl.lit(asked).str.replace("{}", pl.lit(both), literal=True)).to_series()
    finish = pl.Series(["stop", "length"]).gather((rng.random(rows) < 0.05).astype(int))
    labelled = texts.with_columns(instruction=instruction, finish=finish, n_new=pl.lit(12))
    labelled = _step(project, "label", "labelled", conform_with(labelled, LABELLED), {})
    whole = {"cut_off": Rule(pl.col("finish") == "stop", pl.col("finish"), "stop")}
    labelled = _step(project, "instructions", "instructions", conform_with(labelled, INSTRUCTION), whole)
    margin = pl.Series(rng.normal(0.3, 1.5, labelled.height))
    judged = labelled.with_columns(
        p_good=1 / (1 + (-margin).exp()), margin=margin, verdict=pl.lit("good"), reply=pl.lit("")
    )
    judged = _step(project, "judge", "judged", conform_with(judged, JUDGED), {})
    rows = judged.height
    polished = judged.with_columns(
        answer=pl.col("text").str.slice(0, 150) + "。",
        finish=pl.lit("stop"),
        n_new=pl.lit(100),
        shortened=pl.lit(False),
        copy_rate=pl.Series(rng.beta(8, 2, rows)),
        support=pl.Series(rng.beta(9, 2, rows)),
        length_ratio=pl.lit(0.9),
    )
    floor = {"judge_floor": Rule(pl.col("p_good") >= 0.3, pl.col("p_good").round(4), 0.3)}
    polished = _step(project, "polish", "polished", conform_with(polished, POLISHED), floor)
    limits = {
        "judge_threshold": Rule(pl.col("p_good") >= 0.4, pl.col("p_good").round(4), 0.4),
        "unsupported": Rule(pl.col("support") >= 0.3, pl.col("support").round(3), 0.3),
    }
    columns = {"input": pl.lit(""), "method": pl.lit("kun"), "licence": pl.lit("CC0-1.0"), "output": pl.col("answer")}
    return _step(project, "pairs", "pairs", polished.with_columns(**columns), limits).select(list(PAIR))


def _selected(project: Project, pairs: pl.DataFrame, rng: np.random.Generator) -> None:
    """Source, mix, losses and the stage `select` itself."""
    params = load_params(project.root / "params.yaml")
    write_dataset(project.dataset("sources/kun"), pairs, PAIR)
    write_json(project.root / "reports" / "sources" / "kun.json", {"source": "kun", "rows": pairs.height})
    again = pairs.with_columns(answer="output")
    once = {"near_duplicate": Rule(pl.col("instruction").is_first_distinct(), pl.lit("jaccard 1.000"), "0.9")}
    mixed = _step(project, "mix", "mixed", again, once)
    direct = pl.Series(rng.normal(3, 0.5, mixed.height)).clip(0.2)
    losses = mixed.with_columns(
        n_answer=pl.lit(100),
        s_cond=direct * pl.Series(rng.normal(0.9, 0.1, mixed.height)),
        s_direct=direct,
        **{name: pl.lit(None) for name in ("n_instruction", "s_rcond", "s_rdirect", "reason_reversed")},
        truncated=pl.lit(False),
        reason=pl.lit("ok"),
        template=pl.lit("chat"),
        scorer=pl.lit("made"),
    )
    _step(project, "losses", "losses", conform_with(losses, LOSSES), {})
    select(project, params.select, params.engine, partial(evals, project, params))


def make_versions(root: Path, rows: int, seed: int = 7) -> None:
    """A repository of git and DVC with two versions, v1 and v2, of data/selected: one row in ten replaced, one in ten changed."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True)
    _run(root, "git", "init", "-q", "-b", "main")
    for key, value in (("user.name", "bench"), ("user.email", "bench@example.org")):
        _run(root, "git", "config", key, value)
    _run(root, "dvc", "init", "-q")
    stage = "stages:\n  select:\n    cmd: kun select\n    outs: [data/selected]\n"
    (root / "dvc.yaml").write_text(stage, encoding="utf-8")
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")
    first = _released(_ids(rows, rng), rng)
    _version(root, first, "v1")
    old = first.head(rows * 9 // 10).with_columns(
        output=pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.col("output") + "。").otherwise("output")
    )
    _version(root, pl.concat([old, _released(_ids(rows - old.height, rng), rng)]), "v2")


def _released(ids: pl.Series, rng: np.random.Generator) -> pl.DataFrame:
    rows = ids.len()
    pool = _phrases(SENTENCES, 18, 40, rng) + "。"
    parts = [pool.gather(rng.integers(SENTENCES, size=rows)) for _ in range(5)]
    names = pl.Series(list(SOURCES)).gather(rng.choice(len(SOURCES), size=rows, p=list(SOURCES.values())))
    frame = pl.DataFrame({"id": ids, "source": names, **_numbered(parts)})
    scores = {name: pl.Series(rng.random(rows)) for name in ("p_good", "copy_rate", "support", "ifd_ppl", "ira")}
    nothing = {name: pl.lit(None) for name in ("ifd_loss", "rifd_loss", "rifd_ppl")}
    columns = {"input": pl.lit(""), "method": pl.lit("kun"), "licence": pl.lit("CC0-1.0")}
    told = frame.with_columns(
        instruction="p0", output=pl.concat_str("p1", "p2", "p3", "p4"), rank=pl.int_range(1, rows + 1), **columns
    )
    return conform(told.with_columns(**scores, **nothing), SELECTED)


def _version(root: Path, rows: pl.DataFrame, tag: str) -> None:
    write_dataset(Project(root).dataset("selected"), rows, SELECTED)
    _run(root, "dvc", "commit", "-q", "-f")
    _run(root, "git", "add", "-A")
    _run(root, "git", "commit", "-q", "-m", tag)
    _run(root, "git", "tag", tag)


def _run(root: Path, *words: str) -> None:
    subprocess.run(words, cwd=root, check=True, stdout=subprocess.DEVNULL)
