"""Cost of the corpus stages at scale: rows a second, peak memory, and what 1% of new rows costs.

`python bench/growth.py FOLDER 100000 1000000` grows the texts of FOLDER (.jsonl, field `text`) by seeded edits to each size, and
runs dedup and decontaminate on them as stages of a project of their own, each in a process of its own.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import polars as pl
from corpus import read
from memory import measured

from kun.config import load_params
from kun.corpus.decontaminate import decontaminate
from kun.corpus.dedup import dedup
from kun.corpus.text import text_id
from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.tables.shards import ROWS_PER_SHARD, shards, write_dataset

EVAL_ITEMS = 10_000
LEAKS = 200
MIN_CHARS = 100
COMMON = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多"
)


def grown(texts: list[str], rows: int, seed: int) -> pl.DataFrame:
    """Rows of data/cleaned: every text again and again, three of four characters replaced so that copies differ."""
    source = random.Random(seed)
    made = []
    for number in range(rows):
        text = texts[number % len(texts)]
        if number >= len(texts):
            letters = list(text)
            share = 0.02 if source.random() < 0.1 else 0.75  # one of ten is a near-duplicate of its original
            for place in source.sample(range(len(letters)), max(1, round(len(letters) * share))):
                letters[place] = source.choice(COMMON)
            text = "".join(letters)
        made.append(text)
    frame = pl.DataFrame({"text": made})
    columns = {"source": pl.lit("grown"), "title": pl.lit(""), "lang": pl.lit("zh")}
    return frame.with_columns(
        id=pl.Series([text_id(f"{seed} {number}") for number in range(rows)]),
        origin=pl.format("grown:{}", pl.int_range(1, rows + 1)),
        n_chars=pl.col("text").str.len_chars().cast(pl.Int64),
        n_tokens=pl.lit(0, pl.Int64),
        **columns,
    ).select(list(CLEAN))


def run_stage(stage: str, folder: Path) -> None:
    """One stage on `folder`, with the defaults of params.yaml."""
    params, project = load_params(), Project(folder)
    counts = dedup(project, params.dedup) if stage == "dedup" else decontaminate(project, params.decontaminate)
    print(json.dumps({key: value for key, value in counts.items() if isinstance(value, int)}))


def plant_evals(project: Project, texts: list[str], seed: int) -> None:
    """EVAL_ITEMS questions of 60 characters, LEAKS of them parts of texts that are in the corpus."""
    source = random.Random(seed)
    items = ["".join(source.choices(COMMON, k=60)) for _ in range(EVAL_ITEMS - LEAKS)]
    items += [text[20:80] for text in source.sample([text for text in texts if len(text) > 100], LEAKS)]
    folder = project.root / "data" / "eval"
    folder.mkdir(parents=True, exist_ok=True)
    lines = (
        json.dumps({"id": f"e{number}", "question": item}, ensure_ascii=False) for number, item in enumerate(items)
    )
    (folder / "made.jsonl").write_text("\n".join(lines), encoding="utf-8")


def main(folder: Path, sizes: list[int]) -> None:
    """A line for each size and stage."""
    texts = [text for text in read(folder) if len(text) >= MIN_CHARS]
    print(f"{'rows':>9}  {'stage':<26}{'seconds':>8}{'rows/s':>9}{'GB':>6}  counts")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as place:
            project = Project(Path(place))
            write_dataset(project.dataset("cleaned"), grown(texts, rows, 1), CLEAN)
            tell(rows, "dedup", *measured(__file__, "dedup", project.root))
            new = grown(texts, len(texts) + rows // 100, 2).tail(rows // 100)
            write_dataset(project.dataset("cleaned"), [*shards(project.dataset("cleaned")), new], CLEAN)
            tell(rows, "dedup, 1% of new rows", *measured(__file__, "dedup", project.root))
            plant_evals(project, texts, 3)
            tell(rows, f"decontaminate, {EVAL_ITEMS} items", *measured(__file__, "decontaminate", project.root))
    print(f"\n{ROWS_PER_SHARD} rows a shard")


def tell(rows: int, stage: str, seconds: float, gigabytes: float, counts: dict[str, int]) -> None:
    """One line of the table."""
    facts = ", ".join(f"{key} {counts[key]}" for key in ("kept", "dropped") if key in counts)
    print(f"{rows:>9}  {stage:<26}{seconds:>8.1f}{rows / seconds:>9.0f}{gigabytes:>6.1f}  {facts}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--stage":
        run_stage(sys.argv[2], Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]), [int(size) for size in sys.argv[2:]])
