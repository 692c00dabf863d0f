import json
from pathlib import Path

import polars as pl
import pytest
import yaml
from click.testing import CliRunner, Result

from kun.cli import main
from kun.errors import ModelError
from kun.select import standalone
from kun.work.stage import ModelStage
from tests.made import PARAMS, ROOT, seed_pairs

COUNT = 10


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is no project, with an alpaca file whose last answer is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUN_SCRATCH", str(tmp_path / "scratch"))
    rows = [
        {"instruction": asked, "input": None, "output": answer, "n": number}
        for number, (asked, answer) in enumerate(seed_pairs(COUNT))
    ]
    rows[-1]["output"] = ""
    (tmp_path / "in.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return tmp_path


def kun(*words: str) -> Result:
    return CliRunner().invoke(main, ["select", "--in", "in.json", "--out", "out.json", *words])


def chosen(place: Path) -> list[int]:
    return [row["n"] for row in json.loads((place / "out.json").read_text(encoding="utf-8"))]


def test_the_defaults_are_those_of_the_project() -> None:
    assert PARAMS.engine == standalone.ENGINE
    assert PARAMS.losses == standalone.LOSSES_PARAMS
    assert PARAMS.model == standalone.DEMO


@pytest.mark.parametrize("by", ["ifd", "ifd_ppl", "rifd", "ira"])
def test_a_file_is_ranked_by_a_real_model_and_every_row_told(place: Path, tiny_base: Path, by: str) -> None:
    result = kun("--by", by, "--top", "0.3", "--model", str(tiny_base), "--scores", "scores.parquet")
    assert result.exit_code == 0, result.output
    table = pl.read_parquet(place / "scores.parquet")
    score = {"ifd": "ifd_loss", "rifd": "rifd_ppl"}.get(by, by)
    taken = table.filter(pl.col("reason") == "")
    assert table["row"].to_list() == list(range(1, COUNT + 1))
    assert taken.height <= 3 and taken["reason"].null_count() == 0
    assert chosen(place) == (taken.sort("rank")["row"] - 1).to_list()
    last = table.row(COUNT - 1, named=True)
    if by != "rifd":
        assert (last["reason"], last[score], last["rank"]) == (f"no_{score}", None, None)
    ordered = table.drop_nulls("rank").sort("rank")[score]
    assert ordered.is_sorted(descending=by != "rifd")
    if by != "ira":
        assert (ordered < 1).all()
    assert not (place / "models").exists() and not (place / "reports").exists(), "only scratch is written"


def test_another_share_asks_no_model(place: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kun("--top", "2", "--model", str(tiny_base)).exit_code == 0
    first = chosen(place)
    monkeypatch.setattr(ModelStage, "model", lambda self: pytest.fail("a model was loaded"))
    result = kun("--top", "5", "--model", str(tiny_base), "--by", "ifd_ppl")
    assert result.exit_code == 0, result.output
    assert kun("--top", "4", "--model", str(tiny_base)).exit_code == 0
    assert chosen(place)[:2] == first


def test_rows_in_the_order_of_the_file_and_too_few_of_them(place: Path) -> None:
    result = kun("--by", "length", "--top", "1.0", "--order", "input")
    assert result.exit_code == 0
    assert chosen(place) == list(range(COUNT - 1))
    assert "10 in, 9 kept (length_low 1)" in result.stderr
    assert "10 rows were asked for, only 9 qualify" in result.stderr


def test_the_longest_by_rank_and_a_share_that_comes_to_nothing(place: Path) -> None:
    kun("--by", "length", "--top", "3")
    sizes = [len(answer) for _, answer in seed_pairs(COUNT - 1)]
    assert [sizes[row] for row in chosen(place)] == sorted(sizes, reverse=True)[:3]
    assert kun("--by", "random", "--top", "0.05").exit_code == 0
    assert chosen(place) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--top", "1.5"), "'1.5' is neither a share such as 0.1 nor a number of rows"),
        (("--top", "nan"), "'nan' is neither a share"),
        (("--top", "-3"), "'-3' is neither a share"),
        (("--scores", "a.txt"), "kun: a.txt: scores are written as .csv or .parquet"),
        (("--out", "out.jsonl"), "kun: out.jsonl: rows are written as they were read; give it the suffix .json"),
        (("--in", "gone.json"), "kun: gone.json not found"),
        (("--model", "no such model"), "no installed package and no hub id"),
    ],
)
def test_mistakes_are_one_line(place: Path, words: tuple[str, ...], message: str) -> None:
    result = kun(*words)
    assert result.exit_code == 2 and message in result.stderr
    assert "Traceback" not in result.output and not (place / "out.json").exists()


def test_half_of_the_options_is_a_mistake(place: Path) -> None:
    result = CliRunner().invoke(main, ["select", "--in", "in.json"])
    assert result.exit_code == 2 and "--in and --out go together" in result.stderr


@pytest.mark.parametrize(
    ("words", "fetched"),
    [((), ("owner/base", "of-the-base")), (("--model", "owner/scorer"), ("owner/scorer", "main"))],
    ids=["the project's base", "--model"],
)
def test_a_scorer_is_taken_at_its_own_revision(
    place: Path, words: tuple[str, ...], fetched: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["model"] |= {"base": "owner/base", "revision": "of-the-base"}
    params["losses"] |= {"model": "owner/other", "revision": "of-another"}
    (place / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")

    def absent(name: str, revision: str, key: str) -> None:
        raise ModelError(f"asked for {(name, revision)}")

    monkeypatch.setattr("kun.models.snapshot", absent)
    assert f"asked for {fetched}" in kun(*words).stderr
