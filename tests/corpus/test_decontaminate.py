import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.decontaminate import EvalGrams, decontaminate, load_evals
from kun.corpus.letters import bare
from kun.errors import InputError
from kun.params import Params
from kun.project import Project
from kun.tables.shards import read_dataset

from .conftest import SENTENCE, reasons, store, various

QUESTION = "请说明光合作用的光反应和暗反应分别发生在哪里。"


def evals(project: Project, *records: object) -> None:
    folder = project.root / "data" / "eval"
    folder.mkdir(parents=True)
    lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
    (folder / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")


def test_shared_span_is_found_across_punctuation() -> None:
    grams = EvalGrams([("e1", QUESTION), ("e2", "什么是光的折射定律？")], 13)
    span = grams.overlap("老师问：“光合作用的光反应，和暗反应”分别发生在何处？")
    assert span == "光合作用的光反应和暗反应分别发生在"
    assert grams.owner(span) == "e1"
    assert grams.overlap("光合作用的光反应和暗反") is None


def test_short_items_match_whole_from_eight_characters() -> None:
    grams = EvalGrams([("long", "什么是光的折射定律？"), ("short", "北京在哪里？")], 13)
    assert grams.overlap("有人问：什么是光的折射定律呢") == "什么是光的折射定律"
    assert grams.owner("什么是光的折射定律") == "long"
    assert grams.overlap("北京在哪里，什么是光的折射") is None


@given(st.text("甲乙丙丁", max_size=60), st.text("甲乙丙丁", max_size=60))
def test_overlap_is_shared_and_long_enough(item: str, text: str) -> None:
    span = EvalGrams([("e", item)], 8).overlap(text)
    shared = any(item[start : start + 8] in text for start in range(len(item) - 7))
    assert (span is not None) == shared
    assert span is None or (len(span) >= 8 and span in bare(text))


@given(st.lists(st.text("甲乙丙丁", max_size=30), max_size=4), st.lists(st.text("甲乙丙丁，", max_size=60), max_size=6))
def test_many_texts_at_once_give_what_each_gives(items: list[str], texts: list[str]) -> None:
    grams = EvalGrams([(f"e{number}", item) for number, item in enumerate(items)], 9)
    assert grams.overlaps([bare(text) for text in texts]) == [grams.overlap(text) for text in texts]


def test_contaminated_rows_name_span_and_item(project: Project, params: Params) -> None:
    evals(
        project, {"id": "e1", "instruction": QUESTION, "choices": ["甲"]}, {"id": "e2", "reference": ["短", SENTENCE]}
    )
    store(project, "deduped", [f"考题：{QUESTION}", various(1)[0], SENTENCE])
    counts = decontaminate(project, params.decontaminate)
    assert counts["eval_items"] == 2
    assert list(reasons(project, "decontaminate").values()) == ["contaminated"] * 2
    values = read_dataset(project.rejects("decontaminate"))["value"].to_list()
    assert values[0] == f"{bare(QUESTION)} (e1)"
    assert values[1].startswith(bare(SENTENCE)[:40])


def test_without_evals_all_rows_stay(project: Project, params: Params) -> None:
    store(project, "deduped", [SENTENCE])
    counts = decontaminate(project, params.decontaminate)
    assert (counts["eval_items"], counts["kept"]) == (0, 1)


def test_unreadable_eval_line_is_an_error(project: Project, params: Params) -> None:
    evals(project, {"id": "e1", "instruction": QUESTION}, '{"id": ')
    with pytest.raises(InputError, match=r"a\.jsonl:2: malformed_json"):
        load_evals(project.root / "data" / "eval", params.decontaminate.fields, 13)


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
def test_conservation(project: Project, params: Params, count: int) -> None:
    evals(project, {"instruction": QUESTION})
    store(project, "deduped", [QUESTION if number % 2 else text for number, text in enumerate(various(count))])
    counts = decontaminate(project, params.decontaminate)
    assert counts["rows_in"] == counts["kept"] + counts["dropped"] == count
    assert counts["dropped"] == count // 2


def test_width_makes_no_difference() -> None:
    grams = EvalGrams([("e", "请说明ＣＰＵ在２０２４年的发展趋势")], 13)
    assert grams.overlap("有人说明CPU在2024年的发展趋势如何") == "说明cpu在2024年的发展趋势"
    assert EvalGrams([("e", "说明CPU在2024年的发展趋势")], 13).overlap("说明ＣＰＵ在２０２４年的发展趋势") is not None


@given(st.text("0甲", min_size=8, max_size=30), st.text("0甲", max_size=40))
def test_every_span_has_an_owner(item: str, text: str) -> None:
    """Also one that overlapping runs of a short item have stretched beyond its length."""
    grams = EvalGrams([("e", item)], 13)
    span = grams.overlap(text)
    assert span is None or grams.owner(span) == "e"


def test_a_single_file_is_read(project: Project, params: Params) -> None:
    evals(project, {"question": QUESTION})
    grams = load_evals(project.root / "data/eval/a.jsonl", params.decontaminate.fields, 13)
    assert grams.overlap(QUESTION) is not None


def test_an_evaluation_set_that_would_be_passed_over_is_an_error(project: Project, params: Params) -> None:
    evals(project, {"query": QUESTION})
    with pytest.raises(InputError, match=r"a\.jsonl:1: no text in decontaminate\.fields; this record has: query"):
        load_evals(project.root / "data/eval", params.decontaminate.fields, 13)
    (project.root / "data/eval/a.jsonl").rename(project.root / "data/eval/a.txt")
    with pytest.raises(InputError, match=r"a\.txt: evaluation sets are read as jsonl, json, csv"):
        load_evals(project.root / "data/eval", params.decontaminate.fields, 13)
