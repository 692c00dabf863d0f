"""The real dvc.yaml from end to end with a tiny model, and what a change costs."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml

from kun.schemas.datasets import DATASETS
from kun.tables.shards import read_dataset
from tests.copies import ROOT, Copy, duplicate
from tests.made import PARAMS

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
MAKERS: dict[str, str] = STAGES["check"]["foreach"]
"""Dataset -> the stage that makes it."""

WORDS = ("perplexity", "label", "judge", "polish")
"""Stages that ask the model about each row."""

CORPUS = ("ingest", "clean", "dedup", "decontaminate", "perplexity", "corpus")
TEXTS = (
    "燕子每年春天从南方飞回北方，在屋檐下衔泥筑巢。一只燕子一天要捉几百只虫子来喂雏鸟，农家因此喜欢它们，从不去惊扰。"
    "到了秋天，天气转凉，虫子少了，燕子便成群结队地飞往温暖的南方过冬。",
    "做米酒要先把糯米泡一夜，蒸熟以后摊开晾凉，拌上碾碎的酒曲，装进干净的坛子里压实，中间挖一个小窝。"
    "盖好盖子放在暖和的地方，两三天以后窝里渗出清亮的酒液，尝起来又甜又香，这时就可以吃了。",
    "石桥已经有四百多年的历史，桥面的青石被车轮磨出了两道深深的沟。修桥的人没有留下名字，只在栏杆上刻了几朵莲花。"
    "夏天的傍晚，附近的老人喜欢坐在桥头乘凉，讲一讲从前发大水时桥怎样挺过来的故事。",
)
"""Unlike anything in the samples."""


@pytest.fixture
def copy(finished: Copy, tmp_path: Path) -> Copy:
    """The finished project, free to be changed."""
    return duplicate(finished, tmp_path)


def stages_run(told: str) -> list[str]:
    return re.findall(r"^Running stage '(.+)':$", told, re.MULTILINE)


def segments(copy: Copy, stage: str) -> dict[str, int]:
    """Finished pieces of model work in scratch -> time of writing."""
    return {
        path.relative_to(copy.scratch).as_posix(): path.stat().st_mtime_ns
        for path in (copy.scratch / "work" / stage).rglob("seg-*.parquet")
    }


def computed(copy: Copy, stage: str) -> int:
    """Rows that the model has seen for a stage, in all its runs."""
    return sum(pl.read_parquet(copy.scratch / name).height for name in segments(copy, stage))


def rejected(copy: Copy, stage: str) -> pl.DataFrame:
    return read_dataset(copy.project.rejects(stage))


def in_order(steps: list[str]) -> list[str]:
    """Neither of the last two depends on the other, and DVC takes them as it likes."""
    return [*steps[:-2], *sorted(steps[-2:])]


def single_steps() -> Iterator[str]:
    for name, stage in STAGES.items():
        loop = PARAMS.mix.sources if name == "source" else stage.get("foreach")
        yield from (f"{name}@{item}" for item in loop) if loop else [name]


# One whole run


def test_every_stage_ran_and_is_recorded(finished: Copy) -> None:
    told = (finished.root.parent / "output.txt").read_text(encoding="utf-8")
    recorded = yaml.safe_load((finished.root / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    assert set(recorded) == set(single_steps()) == set(stages_run(told))
    assert "Traceback" not in told


@pytest.mark.parametrize("dataset", MAKERS)
def test_every_dataset_has_rows_and_passed_its_gate(finished: Copy, dataset: str) -> None:
    frame = read_dataset(finished.project.dataset(dataset))
    assert frame.height > 0
    assert frame["id"].n_unique() == frame.height
    assert frame.schema == pl.Schema(DATASETS[dataset])
    report = json.loads(finished.project.check(dataset).read_text(encoding="utf-8"))
    assert report["success"] is True
    assert report["facts"]["rows"] == frame.height
    assert finished.project.check(dataset).with_suffix(".html").is_file()


@pytest.mark.parametrize("dataset", MAKERS)
def test_no_row_vanishes_and_none_appears(finished: Copy, dataset: str) -> None:
    """Rows in = rows that the parent kept = kept + dropped + failed, and each lost row has its line in the ledger."""
    stage = MAKERS[dataset]
    counts, ledger = finished.counts(stage), rejected(finished, stage)
    assert counts["rows_in"] == counts["kept"] + counts["dropped"] + counts["failed"]
    assert counts["kept"] == read_dataset(finished.project.dataset(dataset)).height
    assert counts["dropped"] + counts["failed"] == ledger.height == sum(counts["reasons"].values())
    assert ledger.filter((pl.col("reason") == "") | (pl.col("stage") != stage)).is_empty()
    parent = json.loads((ROOT / "expectations" / f"{dataset}.json").read_text(encoding="utf-8"))["parent"]
    if parent:
        kept = set(read_dataset(finished.project.dataset(dataset))["id"])
        before = set(read_dataset(finished.project.dataset(parent))["id"])
        assert counts["rows_in"] == finished.counts(MAKERS[parent])["kept"]
        assert kept | set(ledger["id"]) == before
        assert kept.isdisjoint(ledger["id"])


def test_every_raw_record_is_accounted_for(finished: Copy) -> None:
    raw = finished.root / "data/raw"
    records = (raw / "encyclopedia.jsonl").read_text(encoding="utf-8").strip().split("\n")
    by_source = finished.counts("ingest")["by_source"]
    assert by_source["encyclopedia"]["kept"] + sum(by_source["encyclopedia"]["rejected"].values()) == len(records)
    broken = rejected(finished, "ingest").filter(pl.col("source") == "essays/broken")
    assert set(broken["reason"]) == {"undecodable"}
    assert all(re.fullmatch(r"essays/broken\.txt:\d+", origin) for origin in broken["id"])


def test_training_and_evaluation_left_their_reports(finished: Copy) -> None:
    for name in ("label", "chat"):
        summary = json.loads((finished.root / f"reports/train/{name}.json").read_text(encoding="utf-8"))
        losses = [entry["heldout_loss"] for entry in summary["history"]]
        assert len(losses) == 4
        assert losses[-1] < losses[0], "the tiny model learns from epoch to epoch"
        assert summary["heldout_loss"] == min(losses)
        assert list((finished.project.adapter(name)).glob("*.safetensors"))
        assert (finished.root / f"reports/train/{name}/plots/metrics/heldout_loss.tsv").is_file()
    evaluation = json.loads((finished.root / "reports/evaluate.json").read_text(encoding="utf-8"))
    assert set(evaluation) == {"label", "judge"}


def test_the_release_has_all_formats_with_the_same_rows(finished: Copy) -> None:
    release = finished.project.dataset("release")
    pairs = read_dataset(finished.project.dataset("pairs"))
    ids = pairs["id"].to_list()
    assert pl.read_parquet(release / "data/*.parquet")["id"].to_list() == ids
    for name in ("messages", "alpaca", "sharegpt"):
        lines = (release / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["id"] for line in lines] == ids
    index = json.loads((release / "dataset_info.json").read_text(encoding="utf-8"))
    assert all((release / entry["file_name"]).is_file() for entry in index.values())
    assert (release / "README.md").read_text(encoding="utf-8").startswith("---\n")


def test_the_report_is_complete_and_offline(finished: Copy) -> None:
    for name in ("index.html", "index.zh-CN.html"):
        page = (finished.root / "reports" / name).read_text(encoding="utf-8")
        assert not re.search(r"(?:src|href)=[\"']?https?://", page)
        assert "decontaminate" in page or "去污染" in page
    metrics = json.loads((finished.root / "metrics.json").read_text(encoding="utf-8"))
    assert metrics
    assert (finished.root / "reports/plots/funnel.csv").is_file()


# What a change costs


def test_a_second_run_does_nothing(copy: Copy) -> None:
    told = copy.must("dvc", "repro")
    assert stages_run(told) == []
    assert "up to date" in told


def test_the_same_sources_give_the_same_lock(copy: Copy) -> None:
    """Nothing that a stage writes holds a time, a process id or an order that changes: done again, all bytes are the same."""
    stages = [name for name in single_steps() if not name.startswith(("check", "base"))]
    told = copy.must("dvc", "repro", "-s", "-f", *[name for name in stages if name not in ("evaluate",)])
    assert set(stages_run(told)) >= {"ingest", "label", "pairs", "losses", "select", "release", "report"}
    changed = {line[3:] for line in copy.must("git", "status", "--porcelain").splitlines()}
    # A share alone: all rows came from scratch now.
    assert changed <= {"dvc.lock", *(f"reports/work/{name}.json" for name in (*WORDS, "losses"))}
    for name in changed - {"dvc.lock"}:
        lines = copy.must("git", "diff", "-U0", name).splitlines()
        assert {line.split(":")[0] for line in lines if re.match(r"[-+] ", line)} == {
            '-  "from_scratch"',
            '+  "from_scratch"',
        }


def test_a_new_raw_file_sends_only_its_rows_to_the_model(copy: Copy) -> None:
    before = {stage: computed(copy, stage) for stage in WORDS}
    old = {stage: segments(copy, stage) for stage in WORDS}
    labelled = read_dataset(copy.project.dataset("labelled"))
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in TEXTS]
    (copy.root / "data/raw/new.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    copy.must("dvc", "repro", "-s", *CORPUS, "label", "instructions", "judge", "polish")

    new = set(read_dataset(copy.project.dataset("corpus")).filter(pl.col("source") == "new")["id"])
    assert len(new) == len(TEXTS)
    grown = {stage: computed(copy, stage) - before[stage] for stage in WORDS}
    passed = new & set(read_dataset(copy.project.dataset("instructions"))["id"])
    assert grown == {"perplexity": 3, "label": 3, "judge": len(passed), "polish": len(passed)}
    assert all(old[stage].items() <= segments(copy, stage).items() for stage in WORDS), "finished work is not touched"
    work = json.loads(copy.project.work("label").read_text(encoding="utf-8"))
    assert work["rows"] * (1 - work["from_scratch"]) == pytest.approx(3, abs=0.1)
    again = read_dataset(copy.project.dataset("labelled")).filter(~pl.col("id").is_in(list(new)))
    assert again.equals(labelled), "rows that were there keep what the model said of them"


def test_a_moved_threshold_runs_no_model(copy: Copy) -> None:
    before = {stage: segments(copy, stage) for stage in WORDS}
    pairs = read_dataset(copy.project.dataset("pairs"))
    threshold = round(float(pairs["p_good"].median()), 6)  # type: ignore[arg-type]
    copy.set_params({"judge.threshold": threshold})
    told = copy.must("dvc", "repro")
    assert in_order(stages_run(told)) == [
        "pairs",
        "check@pairs",
        "source@kun",
        "mix",
        "check@mixed",
        "losses",
        "check@losses",
        "select",
        "check@selected",
        "release",
        "report",
    ]
    assert {stage: segments(copy, stage) for stage in WORDS} == before
    kept = read_dataset(copy.project.dataset("pairs"))
    assert 0 < kept.height < pairs.height
    assert kept.equals(pairs.filter(pl.col("p_good") >= threshold))
    dropped = rejected(copy, "pairs").filter(pl.col("reason") == "judge_threshold")
    assert set(dropped["id"]) >= set(pairs.filter(pl.col("p_good") < threshold)["id"])


def test_a_changed_prompt_computes_its_rows_anew_and_no_others(copy: Copy) -> None:
    before = {stage: computed(copy, stage) for stage in WORDS}
    prompt = copy.root / "kun/prompts/zh/polish.j2"
    prompt.write_text(prompt.read_text(encoding="utf-8").replace("请", "请你"), encoding="utf-8")
    told = copy.must("dvc", "repro", "-s", "label", "judge", "polish")
    assert stages_run(told) == ["label", "judge", "polish"], "all three depend on the folder of prompts"
    polished = copy.counts("polish")["kept"]
    assert polished > 0
    assert {stage: computed(copy, stage) - before[stage] for stage in WORDS} == {
        "perplexity": 0,
        "label": 0,
        "judge": 0,
        "polish": polished,
    }


def test_an_experiment_runs_in_the_workspace(copy: Copy) -> None:
    before = {stage: segments(copy, stage) for stage in WORDS}
    pairs = read_dataset(copy.project.dataset("pairs"))
    told = copy.must("dvc", "exp", "run", "-n", "longer", "-S", "pairs.min_chars=25")
    assert in_order(stages_run(told)) == [
        "pairs",
        "check@pairs",
        "source@kun",
        "mix",
        "check@mixed",
        "losses",
        "check@losses",
        "select",
        "check@selected",
        "release",
        "report",
    ]
    assert {stage: segments(copy, stage) for stage in WORDS} == before
    kept = read_dataset(copy.project.dataset("pairs"))
    assert 0 < kept.height < pairs.height
    assert kept["output"].str.len_chars().min() >= 25  # type: ignore[operator]
    shown = json.loads(copy.must("dvc", "exp", "show", "--json"))
    assert len(shown) == 2
    assert "pairs.min_chars=25" not in json.dumps(shown[0]["name"])
    assert shown[1]["experiments"], "the experiment is recorded"
    found = json.loads(copy.must("kun", "diff", "main", "longer", "--json"))
    assert (found["rows"]["before"], found["rows"]["after"]) == (pairs.height, kept.height)
    assert {"name": "pairs.min_chars", "before": 20, "after": 25} in found["params"]
    arms = json.loads(copy.must("kun", "compare", "main", "longer", "--json"))["arms"]
    assert [arm["params"] for arm in arms] == [{"pairs.min_chars": 20}, {"pairs.min_chars": 25}]


# The repository itself


def test_the_committed_lock_is_true(tmp_path: Path) -> None:
    """A clone of HEAD has nothing to run: dvc.lock, params, code and committed reports belong together."""
    if not (ROOT / "dvc.lock").is_file():
        pytest.skip("the working tree has no dvc.lock yet; `make run` writes it")
    subprocess.run(["git", "clone", "-q", ROOT, tmp_path / "project"], check=True)
    clone = Copy(tmp_path / "project", tmp_path / "scratch")
    told = clone.must("dvc", "repro", "--dry", "--allow-missing")
    assert stages_run(told) == []
