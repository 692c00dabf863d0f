"""The same rows labelled by the hf engine and by a real OpenAI-compatible server on loopback.

The engine has the trained label model, the server the quantised base: what is compared is the way, not the words.

`python bench/served.py GGUF [--rows 300] [--new 24]`, in the project's folder after `make run`, with `make bench-peers` and
`pip install 'llama-cpp-python[server]'` in .bench/llamacpp: GGUF is the file that the base model was converted from, which
llama.cpp's server computes in 4 bits. Each way has a scratch of its own and runs as `kun label` does.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Any

import polars as pl
import yaml

from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.tables.shards import read_dataset, write_dataset

HOME = Path(".bench/served")
LLAMA = Path(".bench/llamacpp/bin/python")
PATIENCE = 120.0  # seconds until a server must answer
WAYS: dict[str, dict[str, Any]] = {"hf": {"backend": "hf", "dtype": "auto"}, "server": {"backend": "openai"}}


@contextmanager
def served(gguf: Path) -> Iterator[str]:
    """Address of llama.cpp's server with that model."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(LLAMA), "-m", "llama_cpp.server", "--model", str(gguf), "--host", "127.0.0.1", "--port", str(port)]
    with (HOME / "server.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).read()
                    break
                except OSError:
                    if server.poll() is not None or time.monotonic() > until:
                        raise SystemExit(f"the server does not answer; see {HOME / 'server.log'}") from None
                    time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def labelled(name: str, engine: dict[str, Any], texts: pl.DataFrame, new: int) -> dict[str, Any]:
    """What the stage tells of its work; the instructions lie in the project's data/labelled."""
    project = Project(HOME / name)
    params: dict[str, Any] = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    server = params["engine"]["server"] | engine.pop("server", {})
    params["engine"] |= engine | {"server": server}
    params["label"] |= {"max_new_tokens": new, "temperature": 0.0}
    write_dataset(project.dataset("corpus"), texts, CLEAN)
    (project.root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    scratch = (project.root / ".kun").resolve()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    (scratch / "models").symlink_to(Path(".kun/models").resolve())
    if not (project.root / "models").exists():
        (project.root / "models").symlink_to(Path("models").resolve())
    environment = os.environ | {"KUN_SCRATCH": str(scratch), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-m", "kun", "label"], cwd=project.root, env=environment, check=True)
    told: dict[str, Any] = json.loads((project.root / "reports/work/label.json").read_text())
    return told


def main() -> None:
    """A line for each way, then rows of both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--new", type=int, default=24)
    asked = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    texts = read_dataset(Project().dataset("decontaminated")).head(asked.rows)
    if texts.height < asked.rows:
        again = [texts.with_columns(pl.format("{}-{}", "id", pl.lit(n)).alias("id"),
                                    pl.format("{}（{}）", "text", pl.lit(n)).alias("text"))
                 for n in range(asked.rows // max(texts.height, 1) + 1)]  # fmt: skip
        texts = pl.concat(again).head(asked.rows)
    with served(asked.gguf.resolve()) as url:
        WAYS["server"]["server"] = {"url": url, "models": "base"}
        told = {name: labelled(name, dict(engine), texts, asked.new) for name, engine in WAYS.items()}
    print(f"{'':<8}{'rows':>6}{'failed':>8}{'seconds':>9}{'tokens in':>11}{'tokens out':>12}{'out/s':>8}")
    for name, work in told.items():
        print(
            f"{name:<8}{work['rows']:>6}{work['failed']:>8}{work['seconds']:>9.0f}{work['tokens_in']:>11}"
            f"{work['tokens_out']:>12}{work['tokens_out_per_second']:>8.1f}"
        )
    both = read_dataset(HOME / "hf/data/labelled").join(
        read_dataset(HOME / "server/data/labelled"), on="id", suffix="_s"
    )
    for row in both.head(5).iter_rows(named=True):
        print(f"hf      {row['instruction']!r}\nserver  {row['instruction_s']!r}")


if __name__ == "__main__":
    main()
