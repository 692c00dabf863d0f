from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kun.backtranslate.pairs import pairs, rules, trim_answer, trim_instruction, with_features
from kun.corpus.evals import EvalGrams
from kun.project import Project
from kun.schemas.pairs import INSTRUCTION, JUDGED, POLISHED
from kun.tables.rules import split_by_rules
from kun.tables.shards import read_dataset
from tests.made import PARAMS, assert_conserved, changed, ledger, reasons, store, texts

EVALS = EvalGrams([("e1", "光合作用把光能变成化学能并放出氧气。")], 13)
ANSWER = "河水从山谷里流出来，绕过村口的老槐树，慢慢汇入宽阔的湖面。"
INSTRUCTION_ = "请介绍这里的河水。"


def prepared(project: Project, rows: list[dict[str, Any]]) -> list[str]:
    """Finished pairs, good in all that `rows` do not say; returns the ids."""
    good = {"answer": ANSWER, "instruction": INSTRUCTION_, "finish": "stop", "p_good": 0.9, "support": 1.0}
    filled = [good | row for row in rows]
    ids = store(project, "corpus", texts([ANSWER] * len(rows), source="encyclopedia"))["id"]

    def column(name: str) -> list[Any]:
        return [row[name] for row in filled]

    store(project, "instructions", pl.DataFrame({"id": ids, "instruction": column("instruction")}, schema=INSTRUCTION))
    judged = {"id": ids, "p_good": column("p_good"), "verdict": "good", "margin": 0.0, "reply": ""}
    store(project, "judged", pl.DataFrame(judged, schema=JUDGED))
    done = {
        "id": ids,
        "answer": column("answer"),
        "finish": column("finish"),
        "n_new": 9,
        "shortened": False,
        "copy_rate": 0.5,
        "support": column("support"),
        "length_ratio": 1.0,
    }
    store(project, "polished", pl.DataFrame(done, schema=POLISHED))
    return ids.to_list()


def close(project: Project, **values: Any) -> dict[str, Any]:
    return pairs(project, changed(PARAMS.pairs, **values), PARAMS.judge, PARAMS.ingest, EVALS)


LONG = "".join(f"第{number}条说的是河水和湖面的第{number * 7}处不同。" for number in range(12))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, ""),
        ({"p_good": 0.49}, "judge_threshold"),
        ({"p_good": 0.5}, ""),
        ({"p_good": None}, "judge_threshold"),
        ({"answer": "", "finish": "empty"}, "empty_output"),
        ({"finish": "length"}, "cut_off"),
        ({"instruction": "你好\n请介绍河水。\n请介绍河水。"}, "instruction_repeats_itself"),
        ({"instruction": "。\n\n \n\n请介绍河水。"}, "instruction_too_short"),  # cut at the white space
        ({"instruction": ANSWER.replace("。", "！"), "answer": ANSWER}, "answer_echoes"),
        ({"answer": "河" * 2 + "水流过山谷湖面很宽春风夏雨。"}, "answer_too_short"),
        ({"answer": "The river flows out of the valley."}, "answer_not_chinese"),
        ({"answer": f"{ANSWER}<|im_end|>"}, "template_marker"),
        ({"answer": f"作为一个人工智能助手，我想说：{ANSWER}"}, "refusal"),
        ({"answer": f"根据以上资料，{ANSWER}"}, "mentions_text"),
        ({"answer": ANSWER + "很宽" * 6}, "repetition"),
        ({"answer": ANSWER + "很宽" * 5}, ""),
        ({"answer": LONG}, ""),
        ({"answer": "河水流过山谷，湖面很宽。" * 5 + "河水流过山谷，湖面很窄。" * 5}, "monotonous"),
        ({"support": 0.29}, "unsupported"),
        ({"support": 0.3}, ""),
        ({"answer": f"{ANSWER}光合作用把光能变成化学能并放出氧气。"}, "contaminated"),
        ({"answer": "根据实验结果，2023年作为起点，河水的流量比前一年有所增加。"}, ""),
    ],
)
def test_reasons(tmp_path: Path, row: dict[str, Any], expected: str) -> None:
    project = Project(tmp_path)
    ids = prepared(project, [row, {}])
    counts = close(project)
    assert_conserved(project, "pairs", "pairs", ids, counts)
    assert reasons(project, "pairs") == ({ids[0]: expected} if expected else {}), "and its neighbour never suffers"


def test_the_bare_words_of_the_paper(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ids = prepared(project, [{"answer": "2023年，河水的流量比前一年有所增加，湖面也宽了。"}])
    close(project, refusals="keywords")
    assert reasons(project, "pairs") == {ids[0]: "refusal"}
    assert ledger(project, "pairs")["value"].item() == "2023"


def test_a_pair_carries_its_scores_source_and_licence(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ids = prepared(project, [{"support": 0.7}])
    close(project)
    assert read_dataset(project.dataset("pairs")).to_dicts() == [
        {
            "id": ids[0],
            "instruction": INSTRUCTION_,
            "input": "",
            "output": ANSWER,
            "source": "encyclopedia",
            "method": "kun",
            "licence": "CC0-1.0",
            "p_good": 0.9,
            "copy_rate": 0.5,
            "support": 0.7,
        }
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (INSTRUCTION_, INSTRUCTION_),
        ("请介绍河水。\n\n\n\n\n回答：河水很清。", "请介绍河水。"),
        ("请介绍河水。    还有湖。", "请介绍河水。    还有湖。"),  # four
        ("请介绍河水。     还有湖。", "请介绍河水。"),  # five
        ("请介绍河水。 \n\u3000\t 还有湖。", "请介绍河水。"),  # of any kind
        ("请介绍河水。\n请介绍河水。", "请介绍河水。"),
        ("请介绍河水。\n请介绍湖。\n请介绍河水。", "请介绍河水。"),
        ("你好\n请介绍河水。\n请介绍河水。", None),
        ("好\n请介绍河水。\n好\n请介绍河水。", None),  # the longest repeated line counts, and it does not come first
        ("写诗：\n\n要押韵。\n\n要短。", "写诗：\n\n要押韵。\n\n要短。"),  # blank lines are no repeated lines
        ("  请介绍河水。\n", "请介绍河水。"),
    ],
)
def test_trimmed_instructions(before: str, after: str | None) -> None:
    assert trim_instruction(before) == after


@example("。 \n。 \n。")
@given(st.text("介绍河水。 \n", max_size=40))
def test_a_trimmed_instruction_is_a_part_of_the_one_that_the_model_answered(instruction: str) -> None:
    """So that acceptance check 5 holds for the record too: what is stored stands in the prompt."""
    trimmed = trim_instruction(instruction)
    if trimmed is not None:
        assert trimmed in instruction
        assert trim_instruction(trimmed) in (trimmed, None)


@given(st.text("河水。，！ \n请咨询官方网站建议", max_size=60))
def test_a_trimmed_answer_adds_at_most_a_full_stop(answer: str) -> None:
    trimmed = trim_answer(answer)
    assert trimmed in answer or (trimmed.endswith("。") and trimmed[:-1] in answer)
    assert bool(trimmed) == bool(answer.strip())
    assert trimmed == trimmed.strip()


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "instruction": st.text("介绍河水。 \n", max_size=24),
            "answer": st.text("河水流过根据2023作为抱歉<|im_end|>。 \n", max_size=40),
            "finish": st.sampled_from(["stop", "length", "empty"]),
            "p_good": st.none() | st.floats(0, 1),
            "support": st.none() | st.floats(0, 1),
            "copy_rate": st.floats(0, 1),
            "source": st.sampled_from(["a", "b"]),
        }
    ),
    max_size=8,
)
SCHEMA = {
    "instruction": pl.String,
    "answer": pl.String,
    "finish": pl.String,
    "p_good": pl.Float64,
    "support": pl.Float64,
    "copy_rate": pl.Float64,
    "source": pl.String,
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS)
def test_acceptance_4_output_rules_change_nothing_but_what_they_name(rows: list[dict[str, Any]]) -> None:
    """The answer loses its ends; the instruction only white space and repeated lines; nothing else moves."""
    frame = pl.DataFrame(rows, schema=SCHEMA).with_row_index("id")
    split = split_by_rules(with_features(frame, EVALS), rules(PARAMS.pairs, PARAMS.judge))
    after = pl.concat([split.kept.select(frame.columns), split.dropped.select(frame.columns)]).sort("id")
    assert after.drop("instruction", "answer").equals(frame.drop("instruction", "answer"))
    assert after["answer"].to_list() == [trim_answer(text) for text in frame["answer"]]
    assert after["instruction"].to_list() == [trim_instruction(text) for text in frame["instruction"]]
    for before, kept in (
        frame.join(split.kept.select("id", kept="instruction"), on="id").select("instruction", "kept").iter_rows()
    ):
        clean = " \n" not in before and "  " not in before and "\n" not in before
        assert kept in before
        assert not clean or kept == before.strip(), "one line without runs of white space stays as it is"


def test_a_moved_threshold_moves_nothing_else(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ids = prepared(project, [{"p_good": value} for value in (0.2, 0.4, 0.6, 0.8)])
    for threshold, kept in ((0.0, ids), (0.5, ids[2:]), (0.9, [])):
        judge = changed(PARAMS.judge, threshold=threshold, floor=0.0)
        pairs(project, PARAMS.pairs, judge, PARAMS.ingest, EVALS)
        assert read_dataset(project.dataset("pairs"))["id"].to_list() == kept
