"""Ingest and clean of a corpus that does not fit: MB a second, and the most memory of all processes together.

`python bench/streaming.py FOLDER 5` writes 5 GB of .jsonl, in files of about 1 GB, from the texts of FOLDER (.jsonl, field
`text`), each line with a number of its own so that none repeats, and runs both stages on them, then on one more file of
200 texts. Tokens are taken to be two thirds of the characters: the tokenizer is measured elsewhere.
"""

import json
import sys
import tempfile
from itertools import count, cycle
from pathlib import Path

from corpus import read
from memory import measured

from kun.config import load_params
from kun.corpus.clean import TokenCounter, clean
from kun.corpus.ingest import ingest
from kun.project import Project

FILE_BYTES = 10**9


def write_corpus(folder: Path, texts: list[str], n_bytes: int) -> None:
    """Files of at most FILE_BYTES with that many bytes together."""
    folder.mkdir(parents=True)
    endless, numbers, written = cycle(texts), count(), 0
    while written < n_bytes:
        size = 0
        with (folder / f"{written // FILE_BYTES:03d}.jsonl").open("wb") as file:
            while size < min(FILE_BYTES, n_bytes - written):
                number = next(numbers)
                record = {"text": next(endless).replace("\n", f"（{number}）\n") + f"第{number}篇到此结束。"}
                size += file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        written += size


def two_thirds(texts: list[str]) -> list[int]:
    """Tokens of Chinese text, about."""
    return [len(text) * 2 // 3 for text in texts]


def run_stage(stage: str, folder: Path) -> None:
    """One stage, with the defaults of params.yaml."""
    params, project = load_params(), Project(folder)
    if stage == "ingest":
        counts = ingest(project, params.ingest)
    else:
        counts = clean(project, params.clean, TokenCounter(two_thirds, "two thirds"))
    print(json.dumps({key: counts[key] for key in ("rows_in", "kept")}))


def main(source: Path, gigabytes: float) -> None:
    """A line for each stage, cold and after one more file."""
    texts = read(source)
    with tempfile.TemporaryDirectory() as place:
        project = Project(Path(place))
        raw = project.root / "data" / "raw"
        (project.root / "data" / "unsafe").mkdir(parents=True)
        write_corpus(raw, texts, int(gigabytes * 1e9))
        print(f"{'stage':<26}{'seconds':>9}{'MB/s':>7}{'GB':>6}  counts", flush=True)
        for more in ("", ", 200 texts more"):
            for stage in ("ingest", "clean"):
                seconds, memory, counts = measured(__file__, stage, project.root)
                speed = gigabytes * 1000 / seconds
                print(f"{stage + more:<26}{seconds:>9.1f}{speed:>7.1f}{memory:>6.1f}  {counts}", flush=True)
            new = "".join(json.dumps({"text": f"{text}新的。"}) + "\n" for text in texts[:200])
            (raw / "new.jsonl").write_text(new, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "--stage":
        run_stage(sys.argv[2], Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]), float(sys.argv[2]))
