"""What goes wrong at users' places, through the real command line: a ledger row with file and line, or one line with the fix."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from click.testing import CliRunner, Result

from kun.cli import main
from kun.models import pin_base
from kun.params import Model
from kun.project import Project
from kun.tables.shards import read_dataset
from tests.copies import OFFLINE_GUARD, ROOT, TINY, Copy, duplicate
from tests.made import prose, store, texts

GOOD = {"text": "河水从山谷里流出来，绕过村口的老槐树，慢慢汇入宽阔的湖面；傍晚渔船靠岸，岸边的灯一盏接一盏亮起来。"}

FULL = "kun: no space is left on the disk; free some and run again, finished work is kept"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_base: Path) -> Project:
    """An empty project that stands in its folder, with the tiny model in its parameters."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "expectations", tmp_path / "expectations")
    (tmp_path / "data" / "unsafe").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    set_params(**TINY, **{"model.base": str(tiny_base)})
    return Project()


@pytest.fixture
def pinned(project: Project, tiny_base: Path) -> Project:
    """The project after `kun base`."""
    pin_base(project, Model(str(tiny_base), "main", "CC0-1.0"))
    return project


def set_params(**values: Any) -> None:
    tree = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    for dotted, value in values.items():
        *parents, leaf = dotted.split(".")
        section = tree
        for name in parents:
            section = section[name]
        section[leaf] = value
    Path("params.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")


def kun(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def goes_well(result: Result) -> Result:
    assert result.exit_code == 0, result.stderr
    return result


def is_refused(result: Result, *parts: str) -> None:
    """One line on stderr that holds all `parts`, exit code 2, and no exception but the one that ends the command."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("kun: ")
    for part in parts:
        assert part in lines[0]


def write(path: str, content: str | bytes) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def line(record: Any) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def ledger(project: Project, stage: str) -> dict[str, str]:
    """Id -> reason."""
    return dict(read_dataset(project.rejects(stage)).select("id", "reason").iter_rows())


def counts(project: Project, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.counts(stage).read_text(encoding="utf-8"))
    assert found["rows_in"] == found["kept"] + found["dropped"] + found["failed"]
    return found


# Raw files


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"text": "never closed\n', "malformed_json"),
        (b"just words\n", "malformed_json"),
        (line({"title": "without text"}), "missing_text"),
        (line({"text": None}), "null_text"),
        (line({"text": 5}), "wrong_type"),
        (line({"text": ["a", "b"]}), "wrong_type"),
        (line(["a", "list"]), "not_an_object"),
        (line({"text": " \u3000\n"}), "empty_text"),
        (b'{"text": "\xff\xfe broken"}\n', "undecodable"),
        (line(GOOD), "duplicate_id"),
    ],
)
def test_a_bad_line_is_in_the_ledger_with_file_and_line(project: Project, bad: bytes, reason: str) -> None:
    write("data/raw/news/day.jsonl", line(GOOD) + bad + line({"text": GOOD["text"][::-1]}))
    goes_well(kun("ingest"))
    assert ledger(project, "ingest") == {"news/day.jsonl:2": reason}
    assert counts(project, "ingest")["kept"] == 2


def test_a_line_of_50_mb_is_set_aside_without_being_held(project: Project) -> None:
    long = b'{"text": "' + "长".encode() * (50 * 2**20 // 3) + b'"}\n'
    write("data/raw/big.jsonl", long + line(GOOD))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    goes_well(kun("ingest"))
    assert ledger(project, "ingest") == {"big.jsonl:1": "line_too_long"}
    assert counts(project, "ingest")["kept"] == 1
    assert read_dataset(project.rejects("ingest"))["excerpt"].str.len_chars().item() <= 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024, (
        "kilobytes; the line alone has 51 MB"
    )


def test_an_empty_file_is_in_the_ledger(project: Project) -> None:
    write("data/raw/empty.jsonl", "")
    write("data/raw/good.jsonl", line(GOOD))
    goes_well(kun("ingest"))
    assert ledger(project, "ingest") == {"empty.jsonl": "empty_file"}


def test_an_empty_folder_is_refused(project: Project) -> None:
    Path("data/raw").mkdir(parents=True)
    is_refused(kun("ingest"), "data/raw", ".jsonl, .csv, .parquet, .txt or .html")


def test_a_missing_folder_is_refused(project: Project) -> None:
    is_refused(kun("ingest"), "data/raw", "ingest.path in params.yaml")


def test_files_without_any_text_are_refused_and_nothing_is_written(project: Project) -> None:
    write("data/raw/only.jsonl", line({"titel": "a"}) * 3)
    is_refused(kun("ingest"), "data/raw", "missing_text", "only.jsonl:1", "ingest.text_fields")
    assert not project.dataset("ingested").exists()


# Seeds and evaluation sets


def seed(number: int, **changes: Any) -> bytes:
    pair = {
        "instruction": f"请说明第{number}种植物的习性。",
        "input": "",
        "output": f"第{number}种植物喜欢阳光，耐得住干旱。",
    }
    return line({key: value for key, value in (pair | changes).items() if value is not ...})


def test_seeds_without_answers_are_in_the_ledger(pinned: Project) -> None:
    bad = [
        seed(90, output=...),
        seed(91, output=None),
        seed(92, output=""),
        seed(93, output=7),
        seed(94, instruction=...),
    ]
    write("data/seed/own.jsonl", b"".join(map(seed, range(30))) + b"".join(bad) + seed(3))
    goes_well(kun("seeds"))
    assert ledger(pinned, "seeds") == {
        "own.jsonl:31": "missing_output",
        "own.jsonl:32": "missing_output",
        "own.jsonl:33": "empty_output",
        "own.jsonl:34": "wrong_type",
        "own.jsonl:35": "missing_instruction",
        "own.jsonl:36": "duplicate_id",
    }
    assert counts(pinned, "seeds")["rows_in"] == 36


def test_too_few_seeds_are_refused_with_the_reason(pinned: Project) -> None:
    write("data/seed/own.jsonl", b"".join(seed(number, output=...) for number in range(20)))
    is_refused(kun("seeds"), "data/seed", "0 of 20", "missing_output", "seeds.fields")


def test_missing_seeds_are_refused(pinned: Project) -> None:
    is_refused(kun("seeds"), "data/seed", "seeds.path")


def test_a_broken_evaluation_set_is_refused_by_file_and_line(pinned: Project) -> None:
    """A line passed over could be trained on."""
    write("data/seed/own.jsonl", b"".join(map(seed, range(30))))
    write("data/eval/exam.jsonl", line({"question": "问题"}) + b"{broken\n")
    is_refused(kun("seeds"), "exam.jsonl:2", "malformed_json", "mend or remove")


# Parameters


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda p: p["dedup"].update(treshold=0.8), ("unknown key `dedup.treshold`", "did you mean `threshold`?")),
        (lambda p: p.update(dedupp=p.pop("dedup")), ("unknown key `dedupp`", "did you mean `dedup`?")),
        (lambda p: p["dedup"].pop("shingle"), ("`dedup.shingle` is missing",)),
        (lambda p: p["dedup"].update(shingle="five"), ("`dedup.shingle` must be of type int, not 'five'",)),
        (lambda p: p["dedup"].update(shingle=None), ("`dedup.shingle` must be of type int, not None",)),
        (lambda p: p["dedup"].update(shingle=0), ("`dedup.shingle` is 0, but must be between 1 and 64",)),
        (lambda p: p["dedup"].update(threshold=1.8), ("`dedup.threshold` is 1.8, but must be between 0.3 and 1",)),
        (lambda p: p["judge"].update(mode="verdikt"), ("`judge.mode`", "did you mean `verdict`?")),
        (lambda p: p["judge"].update(threshold=0.1, floor=0.3), ("judge: threshold 0.1 is below floor 0.3",)),
        (lambda p: p["engine"].update(context=64), ("engine.context 64 leaves no room",)),
        (lambda p: p.update(seeds="all"), ("seeds must be a mapping, not 'all'",)),
    ],
)
def test_a_wrong_parameter_is_refused(
    project: Project, change: Callable[[dict[str, Any]], object], parts: tuple[str, ...]
) -> None:
    tree = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    change(tree)
    write("params.yaml", yaml.safe_dump(tree, allow_unicode=True))
    is_refused(kun("dedup"), "params.yaml: ", *parts)


def test_params_that_are_no_yaml_are_refused_with_the_line(project: Project) -> None:
    write("params.yaml", "launch: kun\nmodel: [unclosed\n")
    is_refused(kun("dedup"), "params.yaml is not valid YAML", "line 3")


def test_a_folder_without_params_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    is_refused(kun("clean"), "params.yaml not found", "run kun in the folder")


@pytest.mark.parametrize("words", [["train", "labels"], ["label", "--limit", "0"], ["labl"], ["check"]])
def test_wrong_usage_is_told_with_the_usage(project: Project, words: list[str]) -> None:
    result = kun(*words)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


def test_an_unknown_dataset_names_the_near_one(project: Project) -> None:
    is_refused(kun("check", "pair"), "`pair`", "did you mean `pairs`?")


# Stages out of order, and spoilt datasets


def test_a_stage_before_its_input_says_what_to_run(pinned: Project) -> None:
    is_refused(kun("clean"), "data/ingested", "dvc repro")


def test_a_gate_before_its_dataset_says_what_to_run(project: Project) -> None:
    is_refused(kun("check", "pairs"), "data/pairs", "dvc repro")


# Models


def test_a_model_that_is_nowhere_is_refused(project: Project) -> None:
    set_params(**{"model.base": "no-such-model"})
    is_refused(kun("base"), "model.base", "'no-such-model'", "pip install")


def test_a_model_that_cannot_be_fetched_is_refused(project: Project) -> None:
    set_params(**{"model.base": "nobody/nothing"})
    is_refused(kun("base"), "cannot fetch nobody/nothing", "HF_ENDPOINT")


def test_a_folder_without_weights_is_refused(project: Project, tiny_base: Path) -> None:
    Path("half").mkdir()
    shutil.copy(tiny_base / "tokenizer.json", "half")
    set_params(**{"model.base": "half"})
    is_refused(kun("base"), "half", ".safetensors")


def test_a_stage_without_a_pinned_model_says_what_to_run(project: Project) -> None:
    store(project, "ingested", texts(prose(2)))
    is_refused(kun("clean"), "models/base.json", "kun base")


def test_a_pinned_model_that_has_gone_is_refused(project: Project, tiny_base: Path) -> None:
    shutil.copytree(tiny_base, "moved")
    set_params(**{"model.base": "moved"})
    goes_well(kun("base"))
    shutil.rmtree("moved")
    store(project, "ingested", texts(prose(2)))
    is_refused(kun("clean"), "moved is gone", "kun base")


def test_damaged_weights_are_refused(project: Project, tiny_base: Path) -> None:
    shutil.copytree(tiny_base, "damaged")
    set_params(**{"model.base": "damaged"})
    goes_well(kun("base"))
    weights = Path("damaged/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1000])
    store(project, "decontaminated", texts(prose(2)))
    is_refused(kun("perplexity"), "cannot load the model in damaged")


def test_a_missing_adapter_says_what_to_run(pinned: Project) -> None:
    store(pinned, "corpus", texts(prose(2)))
    is_refused(kun("label"), "models/label", "kun train label")


def test_a_prompt_longer_than_the_context_never_reaches_the_model(pinned: Project, tiny_base: Path) -> None:
    shutil.copytree(tiny_base, pinned.adapter("label"))
    rows = prose(3)
    stored = store(pinned, "corpus", texts([*rows, rows[0] * 30]))
    set_params(**{"engine.context": 800})
    goes_well(kun("label"))
    assert ledger(pinned, "label") == {stored["id"][3]: "prompt_too_long"}
    assert counts(pinned, "label")["kept"] == 3
    excess = read_dataset(pinned.rejects("label")).row(0, named=True)
    assert int(excess["value"]) > int(excess["threshold"]) == 800 - TINY["label.max_new_tokens"]


def test_an_empty_generation_is_kept_as_empty_and_dropped_by_name(pinned: Project, tiny_base: Path) -> None:
    """A model that ends every reply at once."""
    write_mute_model(tiny_base, pinned.adapter("label"))
    stored = store(pinned, "corpus", texts(prose(5)))
    goes_well(kun("label"))
    labelled = read_dataset(pinned.dataset("labelled"))
    assert labelled["finish"].to_list() == ["empty"] * 5
    assert labelled["instruction"].to_list() == [""] * 5
    goes_well(kun("instructions"))
    assert ledger(pinned, "instructions") == dict.fromkeys(stored["id"], "empty_output")
    result = kun("check", "instructions")
    assert result.exit_code == 1
    assert "rows" in result.stderr


def write_mute_model(base: Path, folder: Path) -> None:
    """All tokens look alike to it, and the end of a turn is the likeliest after any."""
    import torch
    from transformers import AutoModelForCausalLM

    from kun.engine.tokens import TokenizerFile

    model = AutoModelForCausalLM.from_pretrained(base, tie_word_embeddings=False)
    end = TokenizerFile(base, "", "").id_of("<|im_end|>")
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight")):
                weights.zero_()
            elif "embed_tokens" in name or "norm" in name:
                weights.fill_(1.0)
        model.lm_head.weight[end] = 1.0
    model.save_pretrained(folder)


# The disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of its own; call it with a size to make or resize it."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    mounted = False

    def make(size: str) -> Path:
        nonlocal mounted
        options = f"remount,size={size}" if mounted else f"size={size}"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("mounting a small file system needs root")
        mounted = True
        return folder

    yield make
    if mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def start(*words: str, limit: int | None = None, **env: str) -> "subprocess.Popen[str]":
    """`kun` as a process of its own; `limit` bytes is all that a file of its may have."""

    def lower() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-m", "kun", *words],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{OFFLINE_GUARD}", **env},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lower,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, list[str]]:
    _, told = process.communicate(timeout=600)
    return process.returncode, [text for text in told.splitlines() if text.strip()]


def test_a_full_disk_ends_in_one_line_and_leaves_no_half_dataset(project: Project) -> None:
    write("data/raw/many.jsonl", b"".join(line({"text": text}) for text in prose(200)))
    code, told = finish(start("ingest", limit=4096))
    assert code == 2
    assert told == [FULL]
    assert not project.dataset("ingested").exists()
    assert list(Path("data").glob(".*")) == []
    goes_well(kun("ingest"))
    assert counts(project, "ingest")["kept"] == 200


def test_a_full_disk_keeps_finished_model_work(
    pinned: Project, tiny_base: Path, small_disk: Callable[[str], Path]
) -> None:
    shutil.copytree(tiny_base, pinned.adapter("label"))
    store(pinned, "corpus", texts(prose(40)))
    scratch = small_disk("32k")
    code, told = finish(start("label", KUN_SCRATCH=str(scratch)))
    assert code == 2
    assert told[-1] == FULL
    assert "Traceback" not in "".join(told)
    kept = {path.name: path.stat().st_mtime_ns for path in scratch.rglob("seg-*.parquet")}
    assert 0 < len(kept) < 10, "some of the ten batches were finished"
    small_disk("10m")
    code, told = finish(start("label", KUN_SCRATCH=str(scratch)))
    assert code == 0, told
    assert counts(pinned, "label")["kept"] == 40
    after = {path.name: path.stat().st_mtime_ns for path in scratch.rglob("seg-*.parquet")}
    assert kept.items() <= after.items()
    assert pl.read_parquet(list(scratch.rglob("seg-*.parquet")))["key"].n_unique() == 40
    assert sum(pl.read_parquet(path).height for path in scratch.rglob("seg-*.parquet")) == 40, "none was computed again"


@pytest.mark.parametrize("size", ["24k", "80k", "300k"])
def test_a_full_disk_in_training_ends_in_one_line(
    pinned: Project, monkeypatch: pytest.MonkeyPatch, small_disk: Callable[[str], Path], size: str
) -> None:
    """Weights, optimiser state and books are written by three libraries, each with errors of its own."""
    write("data/seed/own.jsonl", b"".join(map(seed, range(40))))
    goes_well(kun("seeds"))
    monkeypatch.setenv("KUN_SCRATCH", str(small_disk(size)))
    result = kun("train", "label")
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.splitlines()[-1] == FULL
    small_disk("50m")
    goes_well(kun("train", "label"))


# Two at once


def test_a_second_run_waits_for_the_work_of_the_first(pinned: Project, tiny_base: Path) -> None:
    shutil.copytree(tiny_base, pinned.adapter("label"))
    store(pinned, "corpus", texts(prose(12)))
    first = start("label")
    deadline = time.monotonic() + 300
    while not (held := [path for path in Path(".kun/work/label").glob("*/lock") if path.read_text()]):
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.01)
    second = start("label")
    assert finish(first)[0] == 0
    code, told = finish(second)
    assert code == 0
    assert told == [
        f"label: process {first.pid} is at the same work; waiting for its results",
        "label: 12 in, 12 kept",
    ]
    assert held[0].read_text() == str(second.pid)
    assert counts(pinned, "label")["kept"] == 12
    rows = [pl.read_parquet(path).height for path in Path(".kun/work/label").rglob("seg-*.parquet")]
    assert sum(rows) == 12, "none was computed again"


# A gate that fails


@pytest.fixture(scope="module")
def stopped(
    finished: Copy, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Copy, "subprocess.CompletedProcess[str]"]:
    """The finished project after its suite of labelled has become too strict, and what `dvc repro` then says."""
    copy = duplicate(finished, tmp_path_factory.mktemp("stopped"))
    suite = copy.root / "expectations/labelled.json"
    tree = json.loads(suite.read_text(encoding="utf-8"))
    strict = {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "instruction", "regex": "^请"}}
    tree["rows"]["expectations"].append(strict | {"meta": {"name": "begins_politely", "notes": "A test."}})
    suite.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    return copy, copy.run("dvc", "repro")


def test_a_failed_gate_stops_the_pipeline(stopped: tuple[Copy, "subprocess.CompletedProcess[str]"]) -> None:
    copy, done = stopped
    assert done.returncode != 0
    assert re.findall(r"Running stage '(.+)'", done.stdout) == ["check@labelled"]
    assert "exited with 1" in done.stderr
    assert "Traceback" not in done.stderr
    bad = read_dataset(copy.project.dataset("labelled")).filter(~pl.col("instruction").str.starts_with("请"))
    assert bad.height > 0
    told = next(text for text in done.stderr.splitlines() if "begins_politely" in text)
    assert f"{bad.height} of " in told
    assert any(id in told for id in bad["id"]), "offending rows are named"
    report = json.loads(copy.project.check("labelled").read_text(encoding="utf-8"))
    assert report["success"] is False


def test_a_failed_gate_throws_no_work_away(
    stopped: tuple[Copy, "subprocess.CompletedProcess[str]"], finished: Copy
) -> None:
    copy, _ = stopped
    for stage in ("label", "judge", "polish"):
        kept = {path.relative_to(copy.scratch) for path in (copy.scratch / "work" / stage).rglob("seg-*")}
        assert kept == {
            path.relative_to(finished.scratch) for path in (finished.scratch / "work" / stage).rglob("seg-*")
        }
    for dataset in ("labelled", "pairs"):
        assert read_dataset(copy.project.dataset(dataset)).equals(read_dataset(finished.project.dataset(dataset)))


def test_a_mended_gate_goes_on_without_model_work(stopped: tuple[Copy, "subprocess.CompletedProcess[str]"]) -> None:
    copy, _ = stopped
    copy.must("git", "checkout", "--", "expectations/labelled.json")
    told = copy.must("dvc", "repro")
    assert set(re.findall(r"Running stage '(.+)'", told)) <= {"check@labelled"}
    assert json.loads(copy.project.check("labelled").read_text(encoding="utf-8"))["success"] is True
