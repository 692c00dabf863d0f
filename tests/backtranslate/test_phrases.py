import time

import polars as pl
import pytest

from kun.backtranslate import phrases
from kun.backtranslate.pairs import trim_answer
from tests.made import ROOT

SEEDS = pl.read_ndjson(ROOT / "data/seed/seeds.jsonl").filter(pl.col("input") == "")

REFUSALS = [
    "作为一个人工智能语言模型，我没有个人经历。",
    "作为一个AI助手，我可以这样说。",
    "作为AI，我没有情感。",
    "作为人工智能，我无法体会。",
    "作为一个大型语言模型，我的回答仅供参考。",
    "作为一个语言模型AI，我有时会出错。",
    "作为一款语言模型，我不具备视觉。",
    "作为一名智能助手，我会尽力。",
    "作为 AI 语言模型，我不能投票。",
    "身为人工智能助手，我没有喜好。",
    "我是一个人工智能助手，没有家人。",
    "我是AI，不会生病。",
    "我无法提供医疗建议。",
    "很遗憾，我无法回答这个问题。",
    "我不能提供实时信息。",
    "我暂时无法访问互联网。",
    "我没有能力查看图片。",
    "本模型无法预测未来。",
    "我无法为您完成这项操作。",
    "我无法给出准确的答案。",
    "抱歉，这个问题我不清楚。",
    "非常抱歉，没有找到相关内容。",
    "对不起，我不知道。",
    "不好意思，我没有理解您的问题。",
    "截至2023年，这项数据尚未公布。",
    "我的知识截止于二〇二一年九月。",
    "我的知识库中没有这条记录。",
    "我的知识更新到去年为止。",
    "As an AI language model, I cannot feel.",
    "I'm sorry, but I can't help with that.",
    "I cannot provide medical advice.",
]

ORDINARY = [
    "根据牛顿第二定律，加速度与合力成正比。",
    "根据实验结果，水在一百度沸腾。",
    "根据不同的用途，塑料可以分为几类。",
    "根据材料的性质，可以选用不同的加工方法。",
    "作为学生，应当按时完成作业。",
    "作为一种常见的蔬菜，土豆富含淀粉。",
    "作为人工智能的一个分支，机器学习研究如何让计算机从数据中学习。",
    "作为人工智能领域的先驱，图灵提出了著名的测试。",
    "作为一名人工智能工程师，需要掌握数学和编程。",
    "2023年，这座大桥正式通车。",
    "这部电影于2023年上映，2023年底下线。",
    "他改变了自己的作息习惯，把起床时间提前了一个小时，并向同事说了抱歉。",
    "作为Airbnb的房东，要把房间打扫干净。",
    "知识更新的速度越来越快，终身学习因此变得重要。",
    "图书馆建立了地方文献知识库，供读者检索。",
    "植物无法移动，只能从土壤中获取养分。",
    "我们无法预测每一次地震，但可以提前加固房屋。",
    "从文章的结构看，议论文一般分为引论、本论和结论。",
]


def test_acceptance_7_refusals_are_found() -> None:
    assert len(REFUSALS) >= 20
    assert [text for text in REFUSALS if not phrases.REFUSALS.search(text)] == []


def test_acceptance_7_ordinary_sentences_survive() -> None:
    for words in ("根据", "作为", "2023"):
        assert any(words in text for text in ORDINARY)
    found = {text: pattern.search(text).group() for text in ORDINARY for pattern in PATTERNS if pattern.search(text)}  # type: ignore[union-attr]
    assert found == {}


PATTERNS = (phrases.REFUSALS, phrases.MENTIONS_TEXT, phrases.TEMPLATE_MARKERS)


def test_the_bare_words_of_the_paper_drop_ordinary_sentences() -> None:
    """Why `anchored` is the default."""
    assert sum(bool(phrases.REFUSAL_WORDS.search(text)) for text in ORDINARY) > len(ORDINARY) / 2


def test_on_the_seeds_the_anchored_patterns_are_nearly_silent() -> None:
    """Written by people for assistants: what fires here is a false alarm. The bare words are far worse."""

    def share(pattern: object, column: str) -> float:
        return sum(bool(pattern.search(text)) for text in SEEDS[column]) / SEEDS.height  # type: ignore[attr-defined]

    for pattern in (*PATTERNS, phrases.HEDGING_TAIL):
        assert share(pattern, "output") <= 0.01
    for pattern in (phrases.DANGLING, phrases.OTHER_MODES, phrases.TEMPLATE_MARKERS):
        assert share(pattern, "instruction") <= 0.01
    assert share(phrases.REFUSAL_WORDS, "output") > 2 * share(phrases.REFUSALS, "output")


@pytest.mark.parametrize(
    "instruction",
    [
        "根据以上材料，说明作者的观点。",
        "请根据上文回答问题。",
        "阅读下面的短文，回答问题。",
        "请总结这篇文章的主要内容。",
        "这段话主要讲了什么？",
        "请概括这段文字的大意。",
        "赏析这首诗的意境。",
        "本文的中心思想是什么？",
        "文中提到的方法有哪些？",
        "上述材料说明了什么？",
        "如图所示，求三角形的面积。",
        "请把下面的句子改写成被动句。",
        "Summarize the following text.",
        "According to the passage, why did he leave?",
    ],
)
def test_dangling_references_are_found(instruction: str) -> None:
    assert phrases.DANGLING.search(instruction)


@pytest.mark.parametrize(
    "instruction",
    [
        "根据牛顿第二定律，如何计算加速度？",
        "如何利用信息技术提高课堂效率？",
        "怎样写一篇好的议论文？",
        "写一篇关于春天的文章。",
        "什么是复合材料？",
        "新闻的五个要素是什么？",
        "如何写一份简历？",
        "怎样给网站取名字？",
        "阅读文章时怎样做笔记？",
        "如何根据体型选择衣服？",
        "请写一首诗，描写秋天。",
        "请提供一首诗作为例子。",
        "怎样使用表格整理数据？",
        "为什么阅读新闻很重要？",
        "把这句话译成白话文：学而不思则罔。",
        "“学而不思则罔”，这句话是什么意思？",
        "赏析《静夜思》这首诗。",
        "这段时间应该怎样保暖？",
        "描述图书馆的借书流程。",
        "听音乐有什么好处？",
        "电脑上怎样播放视频？",
        "Explain the second law of motion.",
    ],
)
def test_self_contained_instructions_survive(instruction: str) -> None:
    assert not phrases.DANGLING.search(instruction)
    assert not phrases.OTHER_MODES.search(instruction)


@pytest.mark.parametrize(
    "instruction",
    [
        "看这张图片，说说你的感受。",
        "识别下图中的植物。",
        "打开这个链接，总结内容。",
        "点击链接下载软件。",
        "听这段录音，写出歌词。",
        "播放这首歌曲。",
        "访问 https://example.com 并总结。",
        "打开 www.example.com 看看。",
    ],
)
def test_other_modes_are_found(instruction: str) -> None:
    assert phrases.OTHER_MODES.search(instruction)


@pytest.mark.parametrize(
    "text",
    [
        "<start_of_turn>user",
        "好的<|im_end|>",
        "[INST]",
        "### 回答：好",
        "## 指令",
        "答案是【好】",
        "</s>",
        "<|endoftext|>",
    ],
)
def test_template_markers_are_found(text: str) -> None:
    assert phrases.TEMPLATE_MARKERS.search(text)


@pytest.mark.parametrize("text", ["如果 a < b 且 b > c", "# 标题", "【注意】水很深", "用 `<b>` 标签加粗", "|a|b|"])
def test_what_only_looks_like_a_marker_survives(text: str) -> None:
    assert not phrases.TEMPLATE_MARKERS.search(text)


@pytest.mark.parametrize(
    ("answer", "trimmed"),
    [
        ("河水流过山谷。水在一百度沸腾，如有疑问，请咨询有关部门。", "河水流过山谷。水在一百度沸腾。"),
        ("水在一百度沸腾。具体信息请参考官方网站。", "水在一百度沸腾。"),
        ("水在一百度沸腾。\n如有疑问，建议您咨询相关部门。", "水在一百度沸腾。"),
        ("水在一百度沸腾，建议咨询专业人士。", "水在一百度沸腾。"),
        ("请访问官方网站。", "请访问官方网站。"),  # nothing else would remain
        ("  水在一百度沸腾  \n", "水在一百度沸腾"),
        ("建议参考官方文档。水在一百度沸腾。", "建议参考官方文档。水在一百度沸腾。"),  # not at the end
        ("请参考老师的意见，再作决定。", "请参考老师的意见，再作决定。"),
        ("", ""),
    ],
)
def test_hedging_tails_are_cut(answer: str, trimmed: str) -> None:
    assert trim_answer(answer) == trimmed


@pytest.mark.parametrize(
    "unit", ["请", "建议", "请参考", "建议咨询官方", "河水", "，", "请咨询\n", "我无法", "根据", "作为"]
)
def test_no_pattern_loses_itself_in_degenerate_text(unit: str) -> None:
    """Small models write the same unit a thousand times; a pattern must not take minutes to say no."""
    text = unit * (2000 // len(unit))
    start = time.process_time()
    trim_answer(text)
    for pattern in (*PATTERNS, phrases.DANGLING, phrases.OTHER_MODES):
        pattern.search(text)
    assert time.process_time() - start < 1
