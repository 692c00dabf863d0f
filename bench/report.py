"""The report on a million rows: time, peak memory and size of the pages. `python bench/report.py FOLDER [--rows N]`

Makes a project of N texts of about 300 characters in FOLDER (kept, so that a second run reads it again): every stage from
ingest to select with a tenth of the rows dropped along the way, losses, and rejects in long tails of reasons.
"""

import argparse
import json
import random
import shutil
from pathlib import Path

import polars as pl
from memory import measured

from kun.config import load_params
from kun.project import Project
from kun.schemas.corpus import CLEAN, PERPLEXITY
from kun.schemas.pairs import JUDGED, POLISHED
from kun.schemas.rejects import REJECT
from kun.schemas.select import LOSSES, SELECTED
from kun.tables.shards import ROWS_PER_SHARD, Shard, write_dataset, write_json

ROOT = Path(__file__).parents[1]
SOURCES = [f"web/site{number:03d}" for number in range(200)]
SENTENCES = [
    "驿站是古代传递公文、供往来官员换马歇脚的处所，",
    "竹子可以几十年不开花，一旦开花往往成片枯死，",
    "宋人喝茶不是泡，而是把茶饼碾成细末用沸水点出来，",
    "洗衣机脱水时剧烈震动，多半是衣物偏在一边，",
    "季风的成因是海陆热力差异，冬夏风向正好相反，",
]


def main() -> None:
    """Print one line a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--stage", help=argparse.SUPPRESS)  # memory.py starts the script again with it
    told = parser.parse_args()
    if told.stage:
        print(json.dumps(run(told.folder)))
        return
    done = told.folder / f"{told.rows}.made"
    if not done.exists():
        make(Project(told.folder), told.rows)
        done.touch()
    seconds, peak, found = measured(__file__, "report", told.folder)
    print(
        f"{told.rows:,} rows: {seconds:.1f} s, {peak:.2f} GB, pages of {found['bytes'] / 1e6:.2f} MB, {found['pairs']:,} pairs"
    )


def run(folder: Path) -> dict[str, float]:
    """The report, and how large its larger page is."""
    from kun.report.report import report

    metrics = report(Project(folder), load_params(ROOT / "params.yaml"))
    pages = [path.stat().st_size for path in (folder / "reports").glob("index*.html")]
    return {"pairs": metrics["pairs"], "bytes": max(pages)}


def make(project: Project, rows: int) -> None:
    """Every dataset that the report reads, shard by shard."""
    project.root.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(project.root / "data", ignore_errors=True)
    starts = range(0, rows, ROWS_PER_SHARD)
    frames = {
        "ingested": (_texts, CLEAN),
        "corpus": (_texts, CLEAN),
        "deduped": (_texts, CLEAN),
        "perplexity": (_perplexity, PERPLEXITY),
        "judged": (_judged, JUDGED),
        "polished": (_polished, POLISHED),
        "losses": (_losses, LOSSES),
        "mixed": (_pairs, SELECTED),
        "selected": (_pairs, SELECTED),
    }
    for name, (maker, schema) in frames.items():
        shards: list[Shard] = []
        for place, start in enumerate(starts):
            path = project.root / f"made-{place}.parquet"
            maker(start, min(ROWS_PER_SHARD, rows - start)).select(
                pl.col(column).cast(kind) for column, kind in schema.items()
            ).write_parquet(path)
            shards.append(path)
        write_dataset(project.dataset(name), shards, schema)
        for path in shards:
            path.unlink()
    for stage in ("ingest", "clean", "dedup", "corpus", "pairs"):
        write_dataset(project.rejects(stage), _rejects(stage, rows // 5), REJECT)
        counts = {"rows_in": rows, "kept": rows - rows // 5, "dropped": rows // 5, "failed": 0, "reasons": {}}
        kept = {
            source: {"kept": counts["kept"] // len(SOURCES), "chars": 9, "rejected": {"spam": 9}} for source in SOURCES
        }
        write_json(project.counts(stage), {"stage": stage, **counts, "by_source": kept})


def _ids(start: int, rows: int) -> pl.Series:
    return pl.Series("id", [f"{place:032x}" for place in range(start, start + rows)])


def _texts(start: int, rows: int) -> pl.DataFrame:
    rng = random.Random(start)
    texts = [f"{place}，" + "".join(rng.choices(SENTENCES, k=13)) for place in range(start, start + rows)]
    return _ids(start, rows).to_frame().with_columns(
        text=pl.Series(texts), source=_sources(start, rows), origin=pl.lit("f:1"), title=pl.lit(""), lang=pl.lit("zh"),
        n_chars=pl.Series(texts).str.len_chars(), n_tokens=pl.lit(200),
    )  # fmt: skip


def _sources(start: int, rows: int) -> pl.Series:
    return pl.Series([SOURCES[place % len(SOURCES)] for place in range(start, start + rows)])


def _numbers(start: int, rows: int, schema: dict, **fixed: object) -> pl.DataFrame:
    """Random numbers in every column of floats, `fixed` elsewhere."""
    rng = random.Random(start)
    floats = [name for name, kind in schema.items() if kind == pl.Float64]
    frame = (
        _ids(start, rows)
        .to_frame()
        .with_columns(pl.Series(name, [rng.random() for _ in range(rows)]) for name in floats)
    )
    empty = [pl.lit(fixed.get(name), kind).alias(name) for name, kind in schema.items() if name not in frame.columns]
    return frame.with_columns(empty)


def _perplexity(start: int, rows: int) -> pl.DataFrame:
    return _numbers(start, rows, PERPLEXITY, n_scored=9).with_columns(ppl=pl.col("ppl").log().abs() * 200)


def _judged(start: int, rows: int) -> pl.DataFrame:
    return _numbers(start, rows, JUDGED, verdict="good", reply="")


def _polished(start: int, rows: int) -> pl.DataFrame:
    return _numbers(start, rows, POLISHED, answer="答" * 300, finish="stop", n_new=9, shortened=False)


def _losses(start: int, rows: int) -> pl.DataFrame:
    return _numbers(start, rows, LOSSES, n_answer=90, reason="ok", truncated=False, template="plain", scorer="base")


def _pairs(start: int, rows: int) -> pl.DataFrame:
    texts = _texts(start, rows)
    fixed = {"method": "kun", "licence": "CC0-1.0", "input": "", "rank": 1}
    return _numbers(start, rows, SELECTED, **fixed).with_columns(
        instruction=texts["text"].str.head(30), output=texts["text"], source=texts["source"]
    )


def _rejects(stage: str, rows: int) -> pl.DataFrame:
    rng = random.Random(stage)
    reasons = [f"rule_{int(rng.paretovariate(1)) % 40}" for _ in range(rows)]
    kept = [f"jaccard 0.{rng.randint(500, 999)} with {int(rng.paretovariate(0.8)) % rows:032x}" for _ in range(rows)]
    values = kept if stage == "dedup" else ["12"] * rows
    return _texts(0, rows).select(
        "id", stage=pl.lit(stage), status=pl.lit("dropped"), reason=pl.Series(reasons), value=pl.Series(values),
        threshold=pl.lit("0.5"), source="source", excerpt=pl.col("text").str.head(200),
    ).select(list(REJECT))  # fmt: skip


if __name__ == "__main__":
    main()
