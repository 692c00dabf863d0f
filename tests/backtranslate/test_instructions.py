from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kun.backtranslate.instructions import instructions, rules, with_features
from kun.corpus.evals import EvalGrams
from kun.project import Project
from kun.schemas.pairs import LABELLED
from kun.tables.rules import split_by_rules
from kun.tables.shards import read_dataset
from tests.made import PARAMS, assert_conserved, changed, ledger, reasons, store, texts

EVALS = EvalGrams([("e1", "请说明光合作用的原理以及它的意义。")], 13)
GOOD = "请介绍水稻的生长过程。"
TEXT = "河水从山谷里流出来，绕过村口的老槐树，慢慢汇入宽阔的湖面，傍晚渔船靠岸。"


def prepared(project: Project, written: list[str], finish: list[str] | None = None, text: str = TEXT) -> list[str]:
    """Store one generated instruction for each text and return the ids."""
    rows = store(project, "corpus", texts([f"{text}{number}" for number in range(len(written))]))
    store(
        project,
        "labelled",
        pl.DataFrame(
            {"id": rows["id"], "instruction": written, "finish": finish or ["stop"] * len(written), "n_new": 9},
            schema=LABELLED,
        ),
    )
    return rows["id"].to_list()


def reason(project: Project, instruction: str, finish: str = "stop", text: str = TEXT, **values: Any) -> str:
    """Why the instruction is dropped; "" when it is kept."""
    (row,) = prepared(project, [instruction], [finish], text)
    instructions(project, changed(PARAMS.instructions, **values), EVALS)
    return reasons(project, "instructions").get(row, "")


COPIED = "河水从山谷里流出来，绕过村口的老槐树"  # 18 characters of TEXT


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        (GOOD, ""),
        ("介绍水稻", "instruction_too_short"),
        ("介绍水稻。", ""),
        ("水" * 3 + "稻田" * 149, "instruction_too_long"),
        (f"{GOOD}<|im_end|>", "template_marker"),
        ("根据以上材料介绍水稻的生长。", "dangling_reference"),
        ("根据牛顿第二定律解释火箭升空。", ""),
        ("听这段录音，介绍水稻的生长。", "other_modality"),
        ("介绍水稻介绍水稻介绍水稻介绍水稻", "repetition"),
        ("介绍水稻，介绍小麦，介绍玉米。", ""),
        (f"说说{COPIED}", "copied_from_text"),
        ("请说明光合作用的原理以及它的意义", "contaminated"),
    ],
)
def test_reasons(tmp_path: Path, instruction: str, expected: str) -> None:
    project = Project(tmp_path)
    assert reason(project, instruction) == expected
    kept = read_dataset(project.dataset("instructions"))["instruction"].to_list()
    assert kept == ([] if expected else [instruction])


@pytest.mark.parametrize(("finish", "expected"), [("empty", "empty_output"), ("length", "cut_off"), ("stop", "")])
def test_only_a_text_that_ended_by_itself_goes_on(tmp_path: Path, finish: str, expected: str) -> None:
    assert reason(Project(tmp_path), GOOD, finish) == expected


def test_the_first_reason_explains_the_later_ones(tmp_path: Path) -> None:
    """An empty output is also too short; the ledger names the cause."""
    assert reason(Project(tmp_path), "", "empty") == "empty_output"


@pytest.mark.parametrize(
    ("share", "chars", "expected"),
    [(0.6, 16, "copied_from_text"), (0.95, 16, ""), (0.6, 18, "copied_from_text"), (0.6, 19, "")],
)
def test_a_copy_is_both_a_large_share_and_long(tmp_path: Path, share: float, chars: int, expected: str) -> None:
    """18 of 20 characters stand in the text."""
    project = Project(tmp_path)
    assert reason(project, f"说说{COPIED}", max_copied_share=share, min_copied_chars=chars) == expected


def test_the_mode_of_the_paper_drops_bare_words(tmp_path: Path) -> None:
    sentence = "根据牛顿第二定律解释火箭升空。"
    assert reason(Project(tmp_path), sentence, dangling="keywords") == "dangling_reference"
    assert ledger(Project(tmp_path), "instructions")["value"].item() == "根据"


def test_the_ledger_tells_what_was_seen_and_asked(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (row,) = prepared(project, ["介绍水稻"])
    counts = instructions(project, PARAMS.instructions, EVALS)
    assert ledger(project, "instructions").to_dicts() == [
        {
            "id": row,
            "stage": "instructions",
            "status": "dropped",
            "reason": "instruction_too_short",
            "value": "4",
            "threshold": "5",
            "source": "made",
            "excerpt": "介绍水稻",
        }
    ]
    assert counts["by_source"] == {"made": {"kept": 0, "rejected": {"instruction_too_short": 1}}}


def test_white_space_at_both_ends_goes_and_nothing_else(tmp_path: Path) -> None:
    project = Project(tmp_path)
    prepared(project, [f"\u3000 \n{GOOD}\n\u2003\t", "先写\n后读，中间空一行。"])
    instructions(project, PARAMS.instructions, EVALS)
    assert read_dataset(project.dataset("instructions"))["instruction"].to_list() == [GOOD, "先写\n后读，中间空一行。"]


def test_of_near_duplicates_the_first_stays(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ids = prepared(project, ["请介绍水稻的生长过程和条件", "为什么天是蓝的？", "请介绍水稻的生长过程和条件！"])
    counts = instructions(project, PARAMS.instructions, EVALS)
    assert_conserved(project, "instructions", "instructions", ids, counts)
    assert reasons(project, "instructions") == {ids[2]: "near_duplicate"}
    assert ledger(project, "instructions")["value"].item() == f"jaccard 1.000 with {ids[0]}"
    assert ledger(project, "instructions")["threshold"].item() == "0.9"


def test_a_dropped_instruction_is_no_twin(tmp_path: Path) -> None:
    """The first is cut off; dropping the second as its duplicate would lose both."""
    project = Project(tmp_path)
    ids = prepared(project, [GOOD, GOOD], ["length", "stop"])
    instructions(project, PARAMS.instructions, EVALS)
    assert reasons(project, "instructions") == {ids[0]: "cut_off"}
    assert read_dataset(project.dataset("instructions"))["id"].to_list() == [ids[1]]


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "instruction": st.text("请介绍水稻河根据材料 \n\u3000<|im_end|>。", max_size=30),
            "finish": st.sampled_from(["stop", "length", "empty"]),
            "n_new": st.integers(0, 99),
            "text": st.none() | st.text("河水稻", max_size=20),
            "source": st.sampled_from(["a", "b"]),
        }
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS)
def test_acceptance_4_instruction_rules_change_nothing_but_white_space_at_the_ends(rows: list[dict[str, Any]]) -> None:
    schema = {"instruction": pl.String, "finish": pl.String, "n_new": pl.Int64, "text": pl.String, "source": pl.String}
    frame = pl.DataFrame(rows, schema=schema).with_row_index("id")
    split = split_by_rules(with_features(frame, EVALS), rules(PARAMS.instructions))
    after = pl.concat([split.kept.select(frame.columns), split.dropped.select(frame.columns)]).sort("id")
    assert after.drop("instruction").equals(frame.drop("instruction"))
    assert after["instruction"].to_list() == [text.strip() for text in frame["instruction"]]
