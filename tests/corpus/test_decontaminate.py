import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.decontaminate import decontaminate
from kun.corpus.evals import EvalGrams, load_evals
from kun.corpus.letters import bare
from kun.corpus.script import converter
from kun.errors import ConfigError, InputError
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
    assert values[0] == f"{bare(QUESTION)} (a.jsonl:e1)"
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


# Evaluation sets as they are published

SETS = {
    "ceval/val/logic_val.csv": (
        "id,question,A,B,C,D,answer,explanation\n"
        "0,在逻辑推理中三段论的大前提和小前提必须有一个共同的中项____,对,错,不一定,都不对,A,\n"
        "1,下列说法正确的是____,鲸是生活在海里的哺乳动物,鲨鱼用肺呼吸,海豚是鱼,企鹅会飞,A,鲸用肺呼吸。\n"
    ),
    "cmmlu/test/astronomy.csv": (
        ",Question,A,B,C,D,Answer\n"
        "0,在太阳系中距离太阳最近的那一颗行星的名字是,金星,水星,火星,木星,B\n"
        "1,一光年是多长,九万亿公里左右的距离,一年,一天,一小时,A\n"
    ),
    "mt_bench/question.jsonl": json.dumps(
        {"question_id": 81, "category": "writing",
         "turns": ["请写一篇游记介绍你最近去过的海边小城。", "每句话都改用同一个字开头再写一遍。"],
         "reference": ["", "第二轮的参考答案也不能出现在训练数据里。"]}, ensure_ascii=False
    ) + "\n",
    "alignbench/data_v1.1_release.jsonl": json.dumps(
        {"question_id": 1, "category": "数学计算", "subcategory": "初等数学",
         "question": "有一串灯按三红两绿的顺序排列第九十盏是什么颜色",
         "reference": "一组共有五盏灯九十除以五正好整除所以是绿色"}, ensure_ascii=False
    ) + "\n",
}  # fmt: skip
"""File -> two items in the layout of hkust-nlp/ceval, haonan-li/CMMLU, lm-sys/FastChat and THUDM/AlignBench."""


@pytest.fixture
def published(project: Project, params: Params) -> EvalGrams:
    for name, text in SETS.items():
        path = project.root / "data/eval" / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    return load_evals(project.root / "data/eval", params.decontaminate.fields, 13)


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("三段论：在逻辑推理中，三段论的大前提和小前提必须有一个共同的中项。", "ceval/val/logic_val.csv:0"),
        ("下列说法正确的是（ ）A. 鲸是生活在海里的哺乳动物 B. 鲨鱼用肺呼吸", "ceval/val/logic_val.csv:1"),
        ("下列说法正确的是：鲸是生活在海里的哺乳动物。", "ceval/val/logic_val.csv:1"),
        ("问：在太阳系中，距离太阳最近的那一颗行星的名字是什么？", "cmmlu/test/astronomy.csv:0"),
        ("一光年是多长？A九万亿公里左右的距离", "cmmlu/test/astronomy.csv:1"),
        ("请写一篇游记，介绍你最近去过的海边小城。", "mt_bench/question.jsonl:81"),
        ("每句话都改用同一个字开头，再写一遍。", "mt_bench/question.jsonl:81"),
        ("第二轮的参考答案也不能出现在训练数据里", "mt_bench/question.jsonl:81"),
        ("有一串灯，按三红两绿的顺序排列，第九十盏是什么颜色？", "alignbench/data_v1.1_release.jsonl:1"),
        ("一组共有五盏灯，九十除以五正好整除，所以是绿色。", "alignbench/data_v1.1_release.jsonl:1"),
    ],
)
def test_published_sets_are_read_and_the_item_is_named(published: EvalGrams, text: str, item: str) -> None:
    quoted = published.quote(text)
    assert quoted is not None
    assert quoted.endswith(f" ({item})")


@pytest.mark.parametrize(
    "text",
    [
        "下列说法正确的是第三条。",
        "鲸是生活在海里的哺乳动物，鲨鱼用肺呼吸，海豚是鱼，企鹅会飞。",
        "九万亿公里左右的距离，一年，一天，一小时。",
    ],
)
def test_neither_a_short_question_nor_choices_count_alone(published: EvalGrams, text: str) -> None:
    assert published.quote(text) is None


def test_an_item_without_id_is_named_by_its_line(project: Project, params: Params) -> None:
    evals(project, {"instruction": QUESTION})
    grams = load_evals(project.root / "data/eval", params.decontaminate.fields, 13)
    assert grams.quote(QUESTION) == f"{bare(QUESTION)} (a.jsonl:1)"


def test_both_scripts(project: Project, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a converter that knows four characters: opencc is optional."""
    evals(project, {"id": "e1", "question": "请说明光合作用的过程和意义分别是什么"})
    tables = {"s2t": str.maketrans("请说过义", "請說過義"), "t2s": str.maketrans("請說過義", "请说过义")}
    opencc = ModuleType("opencc")
    opencc.OpenCC = lambda to: SimpleNamespace(convert=lambda text: text.translate(tables[to]))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "opencc", opencc)
    converter.cache_clear()
    for both, found in ((False, False), (True, True)):
        grams = load_evals(project.root / "data/eval", params.decontaminate.fields, 13, both)
        assert (grams.quote("請說明光合作用的過程和意義分別是什麼") is not None) == found
        assert grams.quote("请说明光合作用的过程和意义分别是什么") is not None
    converter.cache_clear()


def test_both_scripts_without_opencc_is_one_line(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    evals(project, {"id": "e1", "question": QUESTION})
    monkeypatch.setitem(sys.modules, "opencc", None)
    converter.cache_clear()
    with pytest.raises(ConfigError, match=r"decontaminate\.both_scripts needs the package opencc"):
        load_evals(project.root / "data/eval", params.decontaminate.fields, 13, True)
