"""`kun plan`: a pilot that costs nothing twice, and a forecast that can be held against the whole stage."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from click.testing import CliRunner, Result

from kun.backtranslate.label import label
from kun.cli import main
from kun.errors import ConfigError
from kun.forecast import forecast
from kun.project import Project
from kun.tables.shards import read_dataset, write_json
from kun.work.pilot import Measured, Pilot, rest_of, share, total
from kun.work.run import Task, run_task
from tests.copies import ROOT, TINY
from tests.made import FAKE, PARAMS, changed, pinned, prose, store, texts

ROWS = 300
FAST = changed(PARAMS, engine=changed(FAKE, max_rows=16))


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path) -> Project:
    """A corpus of short and long texts, models that the fake engine never loads, and params.yaml."""
    made = pinned(tmp_path, tiny_base)
    rows = [text * (1 + number % 4) for number, text in enumerate(prose(ROWS))]
    store(made, "corpus", texts(rows))
    tree = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    tree["engine"] |= {"backend": "fake", "max_rows": 16}
    tree["perplexity"] |= {"max_tokens": TINY["perplexity.max_tokens"]}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    return made


@pytest.fixture
def kun(project: Project, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(project.root)

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, words, catch_exceptions=False)

    return invoke


def number(told: str, name: str) -> list[float]:
    """Estimate and interval of a line."""
    (line,) = [line for line in told.splitlines() if line.startswith(name)]
    return [float(text.replace(",", "")) for text in re.findall(r"(?<![\w.])\d[\d,]*\.?\d*(?![\w%.])", line)]


# The whole command


def test_a_plan_tells_of_all_rows_and_writes_scratch_alone(kun: Any, project: Project) -> None:
    before = sorted(path for path in project.root.rglob("*") if ".kun" not in path.parts)
    result = kun("plan", "label")
    assert result.exit_code == 0, result.stderr
    assert f"label: {ROWS} rows, 64 in scratch (64 of them by this pilot), {ROWS - 64} to do" in result.stdout
    for name in ("tokens in", "tokens out", "time", "device-hours", "rows that end by themselves"):
        assert f"\n{name}" in result.stdout
    assert sorted(path for path in project.root.rglob("*") if ".kun" not in path.parts) == before


def test_the_run_finds_the_rows_of_the_pilot(kun: Any, project: Project) -> None:
    kun("plan", "label", "--rows", "40")
    assert kun("label").exit_code == 0
    rows = pl.concat([pl.read_parquet(file) for file in project.scratch.rglob("seg-*.parquet")])
    assert rows.height == rows["key"].n_unique() == ROWS, "nothing is computed twice"
    figures = json.loads(project.work("label").read_text(encoding="utf-8"))
    assert figures["from_scratch"] == round(40 / ROWS, 4)
    assert figures["measured"] == ROWS


def test_the_result_is_that_of_a_run_without_a_pilot(kun: Any, project: Project, tmp_path: Path) -> None:
    label(project, PARAMS.label, FAKE)
    without = read_dataset(project.dataset("labelled"))
    for file in project.scratch.rglob("seg-*.parquet"):
        file.unlink()
    kun("plan", "label")
    kun("label")
    assert read_dataset(project.dataset("labelled")).equals(without)


def test_the_interval_contains_the_truth(kun: Any, project: Project) -> None:
    told = kun("plan", "label").stdout
    kun("label")
    labelled = read_dataset(project.dataset("labelled"))
    computed = pl.concat([pl.read_parquet(file) for file in project.scratch.rglob("seg-*.parquet")])
    _, low, high = number(told, "tokens out")
    assert low <= (ROWS - 64) * computed["n_new"].mean() <= high  # type: ignore[operator]
    kept, low, high = number(told, "rows that end by themselves")[:3]
    assert low <= labelled.filter(pl.col("finish") == "stop").height <= high
    assert kept == ROWS


def test_a_second_plan_draws_new_rows_and_a_last_one_has_nothing_to_do(kun: Any) -> None:
    kun("plan", "label", "--rows", "200")
    told = kun("plan", "label", "--rows", "200").stdout
    assert f"label: {ROWS} rows, {ROWS} in scratch (100 of them by this pilot), 0 to do" in told
    assert "estimate" in told and "tokens in" not in told
    assert number(told, "rows that end by themselves")[:3] == [ROWS, ROWS, ROWS]


def test_every_model_stage_can_be_planned(kun: Any, project: Project) -> None:
    write_json(project.root / "reports" / "evaluate.json", {"judge": {"trained": {"calibration_margin": 0.0}}})
    rows = read_dataset(project.dataset("corpus"))
    store(project, "decontaminated", rows)
    store(project, "instructions", rows.select("id", instruction=pl.col("text").str.head(20)))
    judged = rows.select("id", p_good=pl.lit(0.9), verdict=pl.lit("good"), margin=pl.lit(1.0), reply=pl.lit(""))
    store(project, "judged", judged)
    for stage, name in (
        ("perplexity", "rows scored"),
        ("judge", "p_good >= judge.floor (0.3)"),
        ("polish", "rows that end by themselves"),
    ):
        result = kun("plan", stage, "--rows", "16")
        assert result.exit_code == 0, result.stderr
        assert f"{stage}: {ROWS} rows, 16 in scratch" in result.stdout
        assert name in result.stdout
    assert not (project.root / "data" / "polished").exists()


def test_the_yield_of_the_judge_is_that_of_its_threshold(kun: Any, project: Project) -> None:
    write_json(project.root / "reports" / "evaluate.json", {"judge": {"trained": {"calibration_margin": 0.0}}})
    rows = read_dataset(project.dataset("corpus"))
    store(project, "instructions", rows.select("id", instruction=pl.col("text").str.head(20)))
    told = kun("plan", "judge", "--rows", "64").stdout
    kun("judge")
    judged = read_dataset(project.dataset("judged"))
    for name, limit in (("floor", 0.3), ("threshold", 0.4)):
        _, low, high = number(told.replace(f"({limit})", ""), f"p_good >= judge.{name}")[:3]
        assert low <= judged.filter(pl.col("p_good") >= limit).height <= high


def test_a_character_model_needs_no_plan(project: Project) -> None:
    params = changed(FAST, perplexity=changed(FAST.perplexity, backend="kenlm"))
    with pytest.raises(ConfigError, match=r"perplexity\.backend is kenlm"):
        forecast(project, params, "perplexity", 64)


def test_without_a_scorer_there_is_nothing_to_plan(project: Project) -> None:
    params = changed(FAST, losses=changed(FAST.losses, model="none"))
    with pytest.raises(ConfigError, match=r"losses\.model is none"):
        forecast(project, params, "losses", 64)


def test_a_missing_input_is_one_line(kun: Any) -> None:
    result = kun("plan", "judge")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "data/instructions holds no dataset" in result.stderr


# The pilot


def pilot_of(root: Path, rows: int, payloads: Sequence[str], clock: list[float]) -> tuple[Pilot, Any]:
    """A pilot of a made stage, whose batches take 10 ms for each of their padded tokens, and the whole run."""

    def compute(batch: Sequence[str]) -> list[dict[str, Any]]:
        clock[0] += 0.01 * len(batch) * max(map(len, batch))
        return [{"n_new": len(payload) % 5} for payload in batch]

    engine = changed(FAKE, max_rows=8, batch_tokens=100_000)
    pilot = Pilot(rows)

    def run(pilot: Pilot | None) -> Any:
        task = Task("made", {}, {"n_new": pl.Int64}, lambda: compute, pilot=pilot)
        return run_task(task, payloads, [len(payload) for payload in payloads], root, engine)

    assert run(pilot) is None
    return pilot, lambda: run(None)


def test_the_sample_is_spread_over_all_lengths() -> None:
    costs = {f"k{number}": number for number in range(1000)}
    drawn = Pilot(10).draw(costs)
    assert [cost // 100 for cost in drawn.values()] == list(range(10)), "one of each tenth"
    assert Pilot(10).draw(costs) == drawn, "seeded"
    assert Pilot(10).draw({"a": 1}) == {"a": 1}
    assert Pilot(10).draw({}) == {}


def test_an_interrupted_plan_is_left_alone(tmp_path: Path) -> None:
    payloads = ["河" * number for number in range(1, 40)]
    pilot_of(tmp_path, 8, payloads, [0.0])
    (folder,) = {file.parent for file in tmp_path.rglob("settings.json")}
    assert (folder / "pilot.json").is_file()
    assert not (folder / "plan.json").exists()


def test_the_time_is_that_of_the_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows of all lengths pad badly; the forecast takes that off."""
    clock = [0.0]
    monkeypatch.setattr("kun.work.telemetry.time.perf_counter", lambda: clock[0])
    payloads = ["河" * (1 + number % 97) + str(number) for number in range(400)]
    pilot, run = pilot_of(tmp_path, 32, payloads, clock)
    assert pilot.measured is not None
    told = rest_of(pilot, pilot.measured, changed(FAKE, max_rows=8, batch_tokens=100_000)).seconds
    start = clock[0]
    run()
    assert told.value == pytest.approx(clock[0] - start, rel=0.05)
    assert told.low <= clock[0] - start <= told.high


def test_estimates_are_means_times_rows() -> None:
    told = total([1.0, 2.0, 3.0], 100)
    assert told.value == 200
    assert told.low < 200 < told.high
    assert total([5.0] * 9, 10).low == total([5.0] * 9, 10).high == 50
    assert (total([], 10).value, total([1.0], 0).high) == (0, 0)


def test_a_share_is_never_certain() -> None:
    assert share(64, 64).low == pytest.approx(0.9434, abs=1e-4)  # Wilson: n / (n + z^2)
    assert share(0, 64).high == pytest.approx(0.0566, abs=1e-4)
    assert (share(0, 0).low, share(0, 0).high) == (0.0, 1.0)


def test_several_processes_share_the_clock_and_load_once_each() -> None:
    told = Measured({"a": 10.0}, {"a": 0.0}, {"a": 0.0}, [["a"]], [8.0], 10.0, 3.0, 4, "cpu")
    pilot = Pilot(1, ["a"], {"a": 10, "b": 10}, {"a": 10, "b": 10}, pl.DataFrame({"key": ["a"]}))
    rest = rest_of(pilot, told, FAKE)
    assert rest.seconds.value == pytest.approx(8 / 4 + 3)
    assert rest.device_seconds.value == pytest.approx(8 + 4 * 3)
