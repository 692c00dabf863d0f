"""Gates with the real suites, on datasets of a few rows. Great Expectations is imported once for the whole file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kun.errors import GateFailed, InputError, KunError
from kun.gate import check
from kun.gate.engine import Outcome
from kun.gate.facts import gather
from kun.gate.report import pooled
from kun.gate.suite import Expectation, load_suite
from kun.params import Check
from kun.project import Project
from kun.schemas.datasets import DATASETS
from kun.tables import shards as tables
from kun.tables.shards import read_dataset, write_dataset, write_json

SUITES = Path(__file__).parent.parent / "expectations"
PARAMS = Check(max_examples=10)
IDS = [f"{number:032x}" for number in range(1, 9)]
BAD = IDS[2]
TOPICS = ["茶叶", "城市", "山川", "历史", "饮食", "音乐", "数学", "园艺"]
TEXTS = [f"{topic}是一个值得细说的题目，前人写过许多文字，后人读来仍有收获。" for topic in TOPICS]
ASKED = [f"请介绍一下{topic}的由来" for topic in TOPICS]
ANSWERS = [f"{topic}的由来可以从三个方面说起，先看环境，再看习俗，最后看技艺的流传。" for topic in TOPICS]
TEXT = {
    "id": IDS,
    "text": TEXTS,
    "source": "essays/tea",
    "origin": "essays/tea.txt:12",
    "title": "",
    "lang": "zh",
    "n_chars": 33,
}
CLEAN = TEXT | {"n_tokens": 24}
REFLECTED = {
    "id": IDS,
    "critique": "太简单。",
    "instruction": [*ASKED[:7], ""],
    "input": "",
    "output": [*ANSWERS[:7], ""],
    "status": ["new"] * 7 + ["failed"],
    "reason": [""] * 7 + ["truncated"],
    "value": "",
    "tries": [1] * 7 + [2],
    "reply": [""] * 7 + ["[新指令]"],
}
VERSION = {"instruction": ASKED, "input": "", "output": ANSWERS, "s_cond": 2.1, "s_direct": 2.4, "s_rcond": 3.1}
VERSION |= {"s_rdirect": 4.0, "ifd": 0.74, "rifd": 0.41, "scored": "ok"}
CHOICE = (
    {"id": IDS, "source": "essays/tea", "licence": "CC0-1.0"}
    | {f"{version}_{name}": cells for version in ("old", "new") for name, cells in VERSION.items()}
    | {"choice": ["new"] * 7 + ["old"], "reason": ["better"] * 7 + ["not_better"]}
)
ROWS: dict[str, dict[str, Any]] = {
    "ingested": TEXT,
    "cleaned": CLEAN,
    "deduped": CLEAN,
    "decontaminated": CLEAN,
    "perplexity": {"id": IDS, "n_scored": 20, "loss": 3.2, "ppl": 24.5},
    "corpus": CLEAN,
    "seeds": {
        "id": IDS,
        "instruction": ASKED,
        "input": "",
        "output": ANSWERS,
        "source": "seeds",
        "origin": "seeds.jsonl:3",
    }
    | {"split": ["train"] * 7 + ["heldout"]},
    "labelled": {"id": IDS, "instruction": ASKED, "finish": "stop", "n_new": 9},
    "instructions": {"id": IDS, "instruction": ASKED},
    "judged": {"id": IDS, "p_good": [0.9] * 7 + [0.1], "verdict": ["good"] * 7 + ["bad"], "margin": 1.5, "reply": ""},
    "polished": {"id": IDS, "answer": ANSWERS, "finish": "stop", "n_new": 30, "shortened": False}
    | {"copy_rate": 0.1, "support": 0.6, "length_ratio": 1.1},
    "pairs": {"id": IDS, "instruction": ASKED, "input": "", "output": ANSWERS, "source": "essays/tea", "method": "kun"}
    | {"licence": "CC0-1.0", "p_good": 0.9, "copy_rate": 0.1, "support": 0.6},
    "experience/chosen": {"id": IDS, "cluster": 3, "ppl": 12.5},
    "losses": {"id": IDS, "n_answer": 40, "s_cond": [2.1] * 7 + [None], "s_direct": [2.4] * 7 + [None]}
    | {"n_instruction": 12, "s_rcond": 3.1, "s_rdirect": 4.0, "truncated": False}
    | {"reason": ["ok"] * 7 + ["prompt_too_long"], "reason_reversed": "ok", "template": "chat-1", "scorer": "base@1"},
    "reflection/instructions": REFLECTED,
    "reflection/by_ifd": CHOICE,
    "reflection/answers": REFLECTED,
    "reflection/by_rifd": CHOICE,
    "reflection/pairs": {"id": IDS, "instruction": ASKED, "input": "", "output": ANSWERS, "source": "essays/tea"}
    | {"method": "reflection", "licence": "CC0-1.0", "p_good": None, "copy_rate": None, "support": None},
    "dynosaur/datasets": {"id": IDS, "name": TOPICS, "source": TOPICS, "origin": TOPICS, "website": ""}
    | {"licence": ["mit"] * 7 + ["cc0-1.0 AND mit"], "noncommercial": False, "lang": "zh", "lang_from": "card"}
    | {"categories": [[]] * 8, "summary": "", "fields": [["a", "b"]] * 8, "columns": [["a", "b"]] * 8}
    | {"rows": [["{}"]] * 8, "revision": IDS, "step": 1},
    "dynosaur/proposals": {"id": IDS, "source": TOPICS, "variant": "aware", "reply": "{}", "finish": "stop"}
    | {"n_prompt": 90, "n_new": 30},
    "dynosaur/tasks": {"id": IDS, "source": TOPICS, "variant": "unaware", "instruction": ASKED}
    | {"input_fields": [["a"]] * 8, "output_field": "b", "kind": "text", "labels": [[]] * 8, "lang": "zh", "step": 1},
    "dynosaur/pairs": {"id": IDS, "instruction": ASKED, "input": TOPICS, "output": ANSWERS, "source": "tea"}
    | {"method": "dynosaur", "licence": "mit", "p_good": None, "copy_rate": None, "support": None}
    | {"task": IDS, "origin": "tea"},
    "dynosaur/replay": {"id": IDS, "step": 2, "task": IDS, "source": "tea", "strategy": "support"}
    | {"score": 0.7, "rank": list(range(1, 9))},
    "dynosaur/lessons": {"id": IDS, "instruction": ASKED, "input": TOPICS, "output": ANSWERS, "source": "tea"}
    | {"origin": "tea", "split": "train", "step": 1, "role": "new", "task": IDS, "pair": IDS, "licence": "mit"},
}
SCORES = {"ifd_loss": 0.8, "ifd_ppl": 0.6, "rifd_loss": [None] * 8, "rifd_ppl": [None] * 8, "ira": 0.5}
ROWS |= {
    "glan/nodes": {"id": IDS, "key": "optics", "kind": "discipline", "parent_id": IDS[0], "zh": "光学", "en": "optics"}
    | {"path": "science/physics/optics", "origin": "human", "n_keep": 0, "n_remove": 0, "tie": False, "chosen": True},
    "glan/lists": {"id": IDS, "discipline_id": IDS[0], "query": range(8), "text": TEXTS, "finish": "stop", "n_new": 30},
    "glan/subjects": {"id": IDS, "discipline_id": IDS[0], "name": TOPICS, "level": [1] * 7 + [None], "level_raw": "1"}
    | {"topics": [["反射"]] * 8, "n_mentions": 2},
    "glan/syllabi": {"id": IDS, "text": TEXTS, "finish": "stop", "n_new": 30},
    "glan/sessions": {"id": IDS, "subject_id": IDS, "place": 0, "name": TOPICS}
    | {"concepts": [["反射"]] * 8, "concept_ids": [[BAD]] * 8},
    "glan/questions": {"id": IDS, "discipline_id": IDS[0], "subject_id": IDS, "strategy": "single", "draw": 0}
    | {"session_ids": [[BAD]] * 8, "concept_ids": [[BAD]] * 8, "question": ASKED},
    "glan/answers": {"id": IDS, "answer": ANSWERS, "finish": "stop", "n_new": 30},
    "glan/pairs": {
        "id": IDS,
        "instruction": ASKED,
        "input": "",
        "output": ANSWERS,
        "source": "optics",
        "method": "glan",
    }
    | {"licence": "unknown", "p_good": None, "copy_rate": None, "support": None},
    "glan/coverage": {"id": IDS, "path": "science", "kind": "field", "zh": "科学", "en": "science", "chosen": True}
    | {"subjects": 1, "questions": 8, "pairs": 8, "thin": False},
}
ROWS["mixed"] = ROWS["pairs"]
ROWS["selected"] = ROWS["pairs"] | {"rank": range(1, 9)} | SCORES | {"edited_by": ""}


def suite_of(dataset: str) -> dict[str, Any]:
    return json.loads((SUITES / f"{dataset}.json").read_text(encoding="utf-8"))


def store(project: Project, dataset: str, frame: pl.DataFrame) -> None:
    """Write a dataset with the counts of a stage that kept every row."""
    write_dataset(project.dataset(dataset), frame, DATASETS[dataset])
    count(project, dataset, rows_in=frame.height, kept=frame.height)


def count(
    project: Project, dataset: str, rows_in: int, kept: int, dropped: int = 0, failed: int = 0, limited: int = 0
) -> None:
    stage = suite_of(dataset)["stage"]
    counts: dict[str, Any] = {"stage": stage, "rows_in": rows_in, "kept": kept, "dropped": dropped, "failed": failed}
    counts["reasons"] = {"limit": limited, "cut_off": dropped - limited}
    write_json(project.counts(stage), counts)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every gate passes."""
    root = tmp_path_factory.mktemp("valid")
    shutil.copytree(SUITES, root / "expectations")
    for dataset, rows in ROWS.items():
        store(Project(root), dataset, pl.DataFrame(rows))
    return root


@pytest.fixture
def project(valid: Path, tmp_path: Path) -> Project:
    """A copy to break."""
    shutil.copytree(valid, tmp_path / "project")
    return Project(tmp_path / "project")


def put(project: Project, dataset: str, row: str = BAD, **values: Any) -> None:
    """Overwrite cells of one row."""
    frame = read_dataset(project.dataset(dataset)).cast(dict(DATASETS[dataset]))
    cells = [
        pl.when(pl.col("id") == row).then(pl.lit(value, dtype=DATASETS[dataset][name])).otherwise(name).alias(name)
        for name, value in values.items()
    ]
    store(project, dataset, frame.with_columns(cells))


def edit_suite(project: Project, dataset: str, change: Callable[[dict[str, Any]], None]) -> None:
    path = project.root / "expectations" / f"{dataset}.json"
    suite = json.loads(path.read_text(encoding="utf-8"))
    change(suite)
    write_json(path, suite)


def failure(project: Project, dataset: str) -> str:
    with pytest.raises(GateFailed) as caught:
        check(project, dataset, PARAMS)
    return str(caught.value)


def result(project: Project, dataset: str) -> dict[str, Any]:
    return json.loads(project.check(dataset).read_text(encoding="utf-8"))


# The suites


def test_every_dataset_has_a_suite_and_no_suite_is_left_over() -> None:
    assert {path.relative_to(SUITES).with_suffix("").as_posix() for path in SUITES.rglob("*.json")} == set(DATASETS)
    for dataset in DATASETS:
        assert load_suite(SUITES / f"{dataset}.json", dataset).dataset == dataset


@pytest.mark.parametrize("dataset", DATASETS)
def test_structure_agrees_with_the_schema(dataset: str) -> None:
    suite = load_suite(SUITES / f"{dataset}.json", dataset)
    columns = next(e for e in suite.rows if e.type == "expect_table_columns_to_match_ordered_list")
    assert columns.kwargs["column_list"] == list(DATASETS[dataset])
    # Great Expectations has no name for the type of a list.
    python = {pl.String: "str", pl.Int64: "int", pl.Float64: "float", pl.Boolean: "bool"}
    types = {e.column: e.kwargs["type_"] for e in suite.rows if e.type == "expect_column_values_to_be_of_type"}
    scalar = {name: kind for name, kind in DATASETS[dataset].items() if not kind.is_nested()}
    assert types == {name: python[kind] for name, kind in scalar.items()}, "of lists the reader of shards sees the type"


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_expectation_has_its_own_name_and_a_reason(dataset: str) -> None:
    suite = suite_of(dataset)
    for part in ("rows", "facts"):
        metas = [entry["meta"] for entry in suite[part]["expectations"]]
        assert all(meta["notes"] for meta in metas)
        assert len({meta["name"] for meta in metas}) == len(metas)


# Passing


@pytest.mark.parametrize("dataset", DATASETS)
def test_valid_dataset_passes(dataset: str, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    report = check(project, dataset, PARAMS)
    assert report["success"]
    assert report["failed"] == report["skipped"] == 0
    assert report == result(project, dataset)
    page = project.check(dataset).with_suffix(".html").read_text(encoding="utf-8")
    assert "PASS" in page
    assert "http" not in page
    assert capsys.readouterr() == ("", "")


def test_the_same_data_gives_the_same_bytes(project: Project) -> None:
    check(project, "instructions", PARAMS)
    files = [project.check("instructions"), project.check("instructions").with_suffix(".html")]
    before = [path.read_bytes() for path in files]
    check(project, "instructions", PARAMS)
    assert [path.read_bytes() for path in files] == before


# One broken row

BROKEN_ROWS = [
    ("ingested", {"text": None}, "text_not_null"),
    ("ingested", {"text": "有控制字符\x07的文字"}, "text_no_control_characters"),
    ("ingested", {"text": ""}, "text_length"),
    ("ingested", {"lang": "French"}, "lang_known"),
    ("ingested", {"origin": "essays"}, "origin_names_a_place"),
    ("ingested", {"n_chars": 0}, "n_chars_in_range"),
    ("cleaned", {"text": "No Chinese here, only English words."}, "text_contains_han"),
    ("deduped", {"text": "乱码\ufffd\ufffd\ufffd的文字"}, "text_no_mojibake"),
    ("corpus", {"n_tokens": 0}, "n_tokens_in_range"),
    ("perplexity", {"ppl": 0.0}, "ppl_in_range"),
    ("perplexity", {"loss": float("nan")}, "loss_in_range"),
    ("perplexity", {"loss": float("inf")}, "loss_in_range"),
    ("perplexity", {"loss": None}, "loss_not_null"),
    ("seeds", {"split": "test"}, "split_known"),
    ("seeds", {"output": "<|im_start|>assistant 好的"}, "output_no_template_markers"),
    ("labelled", {"finish": "eos"}, "finish_known"),
    ("instructions", {"instruction": "谈茶"}, "instruction_length"),
    ("instructions", {"instruction": "谈" * 301}, "instruction_length"),
    ("instructions", {"instruction": " 请介绍茶叶的由来"}, "instruction_trimmed"),
    ("instructions", {"instruction": "请介绍茶叶<end_of_turn>"}, "instruction_no_template_markers"),
    ("instructions", {"instruction": "这条指令写得【好】吗"}, "instruction_no_verdict_marks"),
    ("judged", {"p_good": 1.5}, "p_good_in_range"),
    ("judged", {"p_good": None}, "verdict_has_p_good"),
    ("judged", {"p_good": 0.2}, "good_is_above_half"),
    ("judged", {"verdict": "bad"}, "bad_is_below_half"),
    ("judged", {"verdict": "unparsable"}, "unparsable_has_no_p_good"),
    ("judged", {"verdict": "unparsable", "p_good": None}, "unparsable_has_no_margin"),
    ("judged", {"margin": float("nan")}, "margin_in_range"),
    ("judged", {"verdict": "maybe"}, "verdict_known"),
    ("polished", {"copy_rate": 1.2}, "copy_rate_in_range"),
    ("polished", {"support": -0.1}, "support_in_range"),
    ("polished", {"answer": "### 指令：介绍茶叶"}, "answer_no_template_markers"),
    ("pairs", {"output": "太短的回答"}, "output_length"),
    ("pairs", {"output": "茶" * 4001}, "output_length"),
    ("pairs", {"output": "很抱歉，我无法提供这方面的信息，请咨询专业人士并查阅资料。"}, "output_no_refusal"),
    ("pairs", {"output": "作为一个人工智能，这个问题要从历史、地理和习俗三个方面来谈。"}, "output_no_refusal"),
    ("pairs", {"output": "评价为【差】，因为这条指令的目标不够明确，也没有给出足够条件。"}, "output_no_verdict_marks"),
    ("pairs", {"instruction": "### 指令\n介绍茶叶"}, "instruction_no_template_markers"),
    ("pairs", {"licence": ""}, "licence_length"),
    ("pairs", {"method": "glan"}, "method_known"),
    ("losses", {"s_cond": float("nan")}, "s_cond_in_range"),
    ("losses", {"s_direct": None}, "ok_has_s_direct"),
    ("losses", {"s_cond": None}, "ok_has_s_cond"),
    ("losses", {"reason": "empty_answer"}, "empty_answer_has_no_loss"),
    ("losses", {"reason": "out_of_memory"}, "reason_known"),
    ("losses", {"n_answer": None}, "n_answer_not_null"),
    ("selected", {"output": ""}, "output_length"),
    ("selected", {"rank": 0}, "rank_from_one"),
    ("selected", {"rank": 1}, "rank_unique"),
    ("selected", {"rank": None}, "rank_not_null"),
    ("selected", {"edited_by": None}, "edited_by_not_null"),
    ("selected", {"ifd_ppl": float("inf")}, "ifd_ppl_in_range"),
    ("selected", {"ira": float("nan")}, "ira_in_range"),
    ("reflection/instructions", {"status": "maybe"}, "status_known"),
    ("reflection/instructions", {"output": ""}, "new_has_an_answer"),
    ("reflection/instructions", {"reason": "truncated"}, "new_has_no_reason"),
    ("reflection/instructions", {"status": "failed", "instruction": "", "output": ""}, "others_have_a_reason"),
    ("reflection/instructions", {"status": "failed", "reason": "empty"}, "others_have_no_instruction"),
    ("reflection/answers", {"output": "茶叶。 [结束]"}, "output_no_markers"),
    ("reflection/answers", {"tries": 6}, "tries_in_range"),
    ("reflection/by_ifd", {"choice": "both"}, "choice_known"),
    ("reflection/by_ifd", {"reason": "not_better"}, "new_is_better"),
    ("reflection/by_ifd", {"choice": "old"}, "old_is_not_better"),
    ("reflection/by_ifd", {"old_ifd": None}, "old_ifd_not_null"),
    ("reflection/by_ifd", {"new_ifd": None}, "new_ifd_not_null"),
    ("reflection/by_ifd", {"new_rifd": float("nan")}, "new_rifd_in_range"),
    ("reflection/by_rifd", {"old_rifd": None}, "old_rifd_not_null"),
    ("reflection/by_rifd", {"new_rifd": None}, "new_rifd_not_null"),
    ("reflection/by_rifd", {"new_output": ""}, "new_output_length"),
    ("reflection/pairs", {"method": "kun"}, "method_known"),
    ("reflection/pairs", {"p_good": 0.9}, "p_good_null"),
    ("reflection/pairs", {"output": "[Better Answer] 茶叶。"}, "output_no_markers"),
    ("dynosaur/datasets", {"licence": ""}, "licence_in_spdx"),
    ("dynosaur/datasets", {"lang": "fr"}, "lang_known"),
    ("dynosaur/proposals", {"finish": "maybe"}, "finish_known"),
    ("dynosaur/tasks", {"instruction": " "}, "instruction_not_empty"),
    ("dynosaur/tasks", {"kind": "odd"}, "kind_known"),
    ("dynosaur/pairs", {"licence": ""}, "licence_in_spdx"),
    ("dynosaur/pairs", {"input": ""}, "input_not_empty"),
    ("dynosaur/pairs", {"output": ""}, "output_not_empty"),
    ("dynosaur/pairs", {"method": "kun"}, "method"),
    ("dynosaur/replay", {"step": 1}, "step_from_two"),
    ("dynosaur/replay", {"score": 2.0}, "score_in_range"),
    ("dynosaur/lessons", {"role": "old"}, "role_known"),
    ("dynosaur/lessons", {"licence": ""}, "licence_in_spdx"),
]


@pytest.mark.parametrize("dataset", dict.fromkeys(dataset for dataset, _, _ in BROKEN_ROWS))
def test_a_broken_row_fails_by_name_and_id(dataset: str, project: Project) -> None:
    """Each case breaks a row of its own; one check must find them all."""
    cases = [(cells, name) for broken, cells, name in BROKEN_ROWS if broken == dataset]
    for row, (cells, _) in zip(IDS, cases, strict=False):
        put(project, dataset, row, **cells)
    message = failure(project, dataset)
    told = {line.split()[0]: line for line in message.splitlines()[1:]}
    for row, (_, name) in zip(IDS[: len(cases)], cases, strict=True):
        assert row in told[name]
    assert project.check(dataset).with_suffix(".html").name in message
    assert not result(project, dataset)["success"]
    assert "FAIL" in project.check(dataset).with_suffix(".html").read_text(encoding="utf-8")


def test_ordinary_chinese_passes(project: Project) -> None:
    outputs = [
        "根据牛顿第二定律，物体的加速度与所受的力成正比，与质量成反比。",
        "作为一门古老的学问，2023年的茶学研究依然活跃，成果不断出现。",
        "她说对不起，我无法原谅自己的粗心，于是把整件事又重新做了一遍。",
        "多行的回答也要能过：\n\t第一步，烧水；\r\n第二步，洗杯；第三步，泡茶。",
    ]
    for row, output in zip(IDS, outputs, strict=False):
        put(project, "pairs", row, output=output)
    assert check(project, "pairs", PARAMS)["success"]


@pytest.mark.parametrize("scored", [True, False], ids=["one way", "not at all"])
def test_losses_of_one_direction_or_none_pass(project: Project, scored: bool) -> None:
    rows = {
        "id": IDS,
        "n_answer": 40,
        "s_cond": 2.1,
        "s_direct": 2.4,
        "reason": "ok",
        "template": "bare-1",
        "scorer": "b@1",
    }
    off = {"id": IDS, "n_answer": 0, "reason": "off"}
    missing = {name: None for name in DATASETS["losses"]}
    store(project, "losses", pl.DataFrame(missing | (rows if scored else off) | {"truncated": False}))
    assert check(project, "losses", PARAMS)["success"]


def test_losses_of_two_models_are_a_mixture(project: Project) -> None:
    put(project, "losses", scorer="another@2")
    assert "scorers" in failure(project, "losses")


def test_half_of_the_pairs_without_losses_is_too_many(project: Project) -> None:
    for row in IDS[:4]:
        put(project, "losses", row, s_cond=None, s_direct=None, reason="prompt_too_long")
    assert "unscored_share" in failure(project, "losses")


def test_sampled_judging_may_lack_scores(project: Project) -> None:
    put(project, "judged", verdict="unparsable", p_good=None, margin=None, reply="我不知道")
    assert check(project, "judged", PARAMS)["success"]


def test_a_broken_id_is_told_by_itself(project: Project) -> None:
    frame = read_dataset(project.dataset("seeds"))
    store(project, "seeds", frame.with_columns(id=pl.col("id").replace(BAD, "no-hash")))
    assert "id_is_a_hash" in (message := failure(project, "seeds"))
    assert "no-hash" in message


def test_mostly_tolerates_then_fails(project: Project) -> None:
    frame = read_dataset(project.dataset("labelled"))
    store(project, "labelled", frame.with_columns(finish=pl.lit("length")))
    assert "finish_mostly_stop" in failure(project, "labelled")
    put(project, "labelled", finish="stop")
    entry = next(e for e in check(project, "labelled", PARAMS)["expectations"] if e["name"] == "finish_mostly_stop")
    assert (entry["status"], entry["unexpected"], entry["checked"]) == ("passed", 7, 8)
    assert entry["examples"][0] == {"id": IDS[0], "excerpt": "length"}


# Shape


def test_a_missing_column_is_a_failure_of_the_data(project: Project) -> None:
    shard = project.dataset("perplexity") / "part-00000.parquet"
    pl.read_parquet(shard).drop("loss").write_parquet(shard)
    message = failure(project, "perplexity")
    assert "columns (expect_table_columns_to_match_ordered_list)" in message
    assert "loss is missing" in message


@pytest.mark.parametrize(("kind", "named"), [(pl.String, True), (pl.Int32, False)])
def test_a_wrong_type_is_a_failure_of_the_data(kind: Any, named: bool, project: Project) -> None:
    """Great Expectations does not tell Int32 from Int64; the comparison with the schema does."""
    shard = project.dataset("perplexity") / "part-00000.parquet"
    pl.read_parquet(shard).with_columns(pl.col("n_scored").cast(kind)).write_parquet(shard)
    message = failure(project, "perplexity")
    assert ("n_scored_type (expect_column_values_to_be_of_type on n_scored)" in message) is named
    assert f"n_scored is {kind()}, not Int64" in message


def test_columns_in_another_order_fail(project: Project) -> None:
    shard = project.dataset("perplexity") / "part-00000.parquet"
    pl.read_parquet(shard).select(reversed(list(DATASETS["perplexity"]))).write_parquet(shard)
    assert "columns in another order" in failure(project, "perplexity")


def test_a_shard_that_is_no_parquet_is_an_input_error(project: Project) -> None:
    (project.dataset("seeds") / "part-00000.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"part-00000\.parquet cannot be read"):
        check(project, "seeds", PARAMS)


def test_a_parent_of_another_shape_is_an_input_error(project: Project) -> None:
    shard = project.dataset("labelled") / "part-00000.parquet"
    pl.read_parquet(shard).drop("finish").write_parquet(shard)
    with pytest.raises(InputError, match=r"labelled: part-00000\.parquet: finish is missing"):
        check(project, "instructions", PARAMS)


# Several shards


def test_shards_are_pooled(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS_PER_SHARD", 3)
    put(project, "perplexity", ppl=0.0)
    failure(project, "perplexity")
    report = result(project, "perplexity")
    entry = next(e for e in report["expectations"] if e["name"] == "ppl_in_range")
    assert (report["shards"], entry["checked"], entry["unexpected"]) == (3, 8, 1)
    assert entry["examples"] == [{"id": BAD, "excerpt": "0.0"}]


def test_mostly_speaks_of_the_dataset_not_of_a_shard() -> None:
    asked = Expectation("han", "expect_column_values_to_match_regex", {"column": "text", "mostly": 0.5}, "")
    unlucky, lucky = Outcome(False, None, 4, 3, []), Outcome(True, None, 96, 0, [])
    finding = pooled(asked, "rows", [unlucky, lucky], 10)
    assert (finding.status, finding.checked, finding.unexpected) == ("passed", 100, 3)


# Facts


def test_facts_of_a_dataset(project: Project) -> None:
    count(project, "pairs", rows_in=110, kept=8, dropped=101, failed=1, limited=100)
    facts = gather(project, load_suite(SUITES / "pairs.json", "pairs"), 10)
    assert facts.values == {
        "rows": 8,
        "rows_in": 110,
        "limited": 100,
        "conservation": 0,
        "uncounted": 0,
        "kept_share": 0.8,
        "failed_share": 0.1,
        "unique_ids": 1.0,
        "duplicate_share": 0.0,
        "parent_rows": 8,
        "not_taken": -102,
        "orphan_ids": 0,
        "unfinished": 0,
    }


def test_counts_that_do_not_add_up_or_tell_of_a_broken_stage(project: Project) -> None:
    count(project, "cleaned", rows_in=8000, kept=7, dropped=1, failed=7000)
    message = failure(project, "cleaned")
    for name in ("conservation", "uncounted", "kept_share", "failed_share", "not_taken"):
        assert f"  {name} (" in message
    assert "on conservation): observed 992, asked min_value 0, max_value 0" in message


def test_orphan_ids_are_named(project: Project) -> None:
    frame = read_dataset(project.dataset("deduped"))
    orphan = "f" * 32
    store(project, "deduped", frame.with_columns(id=pl.col("id").replace(BAD, orphan)))
    line = next(line for line in failure(project, "deduped").splitlines() if "orphan_ids" in line)
    assert line.endswith(f"observed 1, asked min_value 0, max_value 0; ids {orphan}")


def test_repeated_ids_and_texts_are_named(project: Project) -> None:
    frame = read_dataset(project.dataset("instructions"))
    store(project, "instructions", pl.concat([frame.head(7), frame.filter(pl.col("id") == BAD)]))
    lines = failure(project, "instructions").splitlines()
    assert any("unique_ids (" in line and BAD in line for line in lines)
    assert any("duplicate_share (" in line and BAD in line for line in lines)


@pytest.mark.parametrize(("dataset", "parent"), [("pairs", "polished"), ("instructions", "labelled")])
def test_what_was_cut_off_must_not_go_on(dataset: str, parent: str, project: Project) -> None:
    put(project, parent, finish="length")
    line = next(line for line in failure(project, dataset).splitlines() if "unfinished" in line)
    assert BAD in line


def test_seeds_need_held_out_pairs(project: Project) -> None:
    frame = read_dataset(project.dataset("seeds"))
    store(project, "seeds", frame.with_columns(split=pl.lit("train")))
    assert "  heldout_share (" in failure(project, "seeds")


@pytest.mark.parametrize("dataset", ["ingested", "seeds", "judged", "pairs"])
def test_an_empty_dataset_is_judged_by_its_facts(dataset: str, project: Project) -> None:
    store(project, dataset, pl.DataFrame(schema=DATASETS[dataset]))
    assert "  rows (" in failure(project, dataset)
    report = result(project, dataset)
    assert {e["status"] for e in report["expectations"] if e["part"] == "rows"} == {"skipped"}
    assert report["expectations"][0]["note"] == "skipped, the dataset has no rows"


def test_an_empty_dataset_may_pass(project: Project) -> None:
    def allow(suite: dict[str, Any]) -> None:
        keep = {"conservation", "uncounted", "unique_ids", "failed_share", "orphan_ids"}
        suite["facts"]["expectations"] = [e for e in suite["facts"]["expectations"] if e["meta"]["name"] in keep]

    edit_suite(project, "pairs", allow)
    store(project, "pairs", pl.DataFrame(schema=DATASETS["pairs"]))
    assert check(project, "pairs", PARAMS)["success"]


# The page


def test_html_escapes_what_the_data_says(project: Project) -> None:
    put(project, "ingested", text="<script>alert('坏')</script>\x07")
    failure(project, "ingested")
    page = project.check("ingested").with_suffix(".html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#39;坏&#39;)" in page


def test_max_examples_bounds_the_report(project: Project) -> None:
    frame = read_dataset(project.dataset("pairs"))
    store(project, "pairs", frame.with_columns(output=pl.lit("短")))
    with pytest.raises(GateFailed) as caught:
        check(project, "pairs", Check(max_examples=2))
    entry = next(e for e in result(project, "pairs")["expectations"] if e["name"] == "output_length")
    assert [example["id"] for example in entry["examples"]] == IDS[:2]
    assert (entry["unexpected"], entry["unexpected_percent"]) == (8, 100.0)
    assert IDS[2] not in str(caught.value)


# Faults that are not the data's


def refused(project: Project, dataset: str) -> str:
    """The one line of a fault in the suite; no report may lie there afterwards."""
    with pytest.raises(KunError) as caught:
        check(project, dataset, PARAMS)
    assert "\n" not in str(caught.value)
    assert not project.check(dataset).exists()
    return str(caught.value)


def add(part: str, kind: str, **kwargs: Any) -> Callable[[dict[str, Any]], None]:
    entry = {"type": kind, "kwargs": kwargs, "meta": {"name": "added", "notes": "test"}}
    return lambda suite: suite[part]["expectations"].append(entry)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            add("rows", "expect_column_values_to_match_regex", column="instruction", regex="(["),
            "added could not be computed",
        ),
        (
            add("rows", "expect_column_values_to_be_between", column="instruction", min_value=3),
            "added could not be computed",
        ),
        (add("rows", "expect_columns_to_shine", column="instruction"), "added is not a valid expectation"),
        (
            add("rows", "expect_column_values_to_be_between", column="instruction", least=3),
            "added is not a valid expectation",
        ),
        (
            add("rows", "expect_column_values_to_not_be_null", column="instructions"),
            "no column `instructions`; did you mean `instruction`?",
        ),
        (add("facts", "expect_column_values_to_be_between", column="row", max_value=3), "did you mean `rows`?"),
        (add("rows", "expect_column_values_to_not_be_null", column="instruction", mostly=2), "mostly is 2"),
        (lambda suite: suite.pop("facts"), "exactly the keys"),
        (lambda suite: suite.update(dataset="corpus"), "`dataset` is 'corpus'"),
        (lambda suite: suite.update(parent="nothing"), "`parent` is 'nothing'"),
        (lambda suite: suite.update(rows={"name": "x", "expectations": []}), "non-empty list"),
        (lambda suite: suite["rows"]["expectations"].append({"kwargs": {}}), "type must be a string"),
    ],
)
def test_a_fault_of_the_suite_is_one_line(change: Any, says: str, project: Project) -> None:
    edit_suite(project, "instructions", change)
    message = refused(project, "instructions")
    assert says in message
    assert "instructions.json" in message


def test_missing_or_malformed_suite(project: Project) -> None:
    path = project.root / "expectations" / "seeds.json"
    path.write_text("{", encoding="utf-8")
    assert "not valid JSON" in refused(project, "seeds")
    path.unlink()
    assert "seeds.json not found" in refused(project, "seeds")


def test_missing_inputs(project: Project) -> None:
    assert "did you mean `seeds`?" in refused(project, "seed")
    project.counts("label").write_text('{"rows_in": 3}', encoding="utf-8")
    assert "not the counts of a stage" in refused(project, "labelled")
    project.counts("label").unlink()
    assert "label.json not found" in refused(project, "labelled")
    shutil.rmtree(project.dataset("cleaned"))
    with pytest.raises(InputError, match="holds no dataset"):
        check(project, "cleaned", PARAMS)


def test_an_error_leaves_no_old_pass_behind(project: Project) -> None:
    check(project, "seeds", PARAMS)
    edit_suite(project, "seeds", lambda suite: suite.pop("facts"))
    refused(project, "seeds")
