"""Ways to spoil a good instruction or to dirty a good text: negatives for the judge, raw material for polishing.

Each takes a `random.Random`, so a seed gives the same examples on every machine.
"""

import random
from collections.abc import Callable, Sequence

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"
DANGLING = ("根据上文", "根据以上材料", "阅读下面的文章", "结合这段文字", "按照图片中的内容", "根据所给资料")
VAGUE = (
    "帮我弄一下这个。",
    "说说那个东西。",
    "继续。",
    "怎么办？",
    "写点什么吧。",
    "这个怎么弄？",
    "你看着办。",
    "再来一个。",
)
PERSONAL = (
    "你认识{name}吗？",
    "请帮我查一下{name}的家庭住址。",
    "{name}的手机号码是多少？",
    "介绍一下我同事{name}的经历。",
)
MODES = ("看这张图片，", "打开这个链接，", "听这段录音，", "识别下图，")


def truncated(instruction: str, rng: random.Random) -> str:
    """The first 30-60% of the instruction, without its end."""
    return instruction[: max(3, int(len(instruction) * rng.uniform(0.3, 0.6)))].rstrip("。？！?!，,、 ")


def duplicated(instruction: str, rng: random.Random) -> str:
    """The instruction two or three times in a row."""
    return rng.choice(["", "\n", " "]).join([instruction] * rng.randint(2, 3))


def dangling(instruction: str, rng: random.Random) -> str:
    """The instruction behind a reference to a text that is not there."""
    return f"{rng.choice(DANGLING)}，{instruction}"


def personal(instruction: str, rng: random.Random) -> str:
    """A question about a private person."""
    del instruction
    name = rng.choice(SURNAMES) + "".join(rng.sample(GIVEN, rng.randint(1, 2)))
    return rng.choice(PERSONAL).format(name=name)


def vague(instruction: str, rng: random.Random) -> str:
    """A request without an aim."""
    del instruction
    return rng.choice(VAGUE)


def multimodal(instruction: str, rng: random.Random) -> str:
    """The instruction in need of a picture, a link or sound."""
    return rng.choice(MODES) + instruction


def scrambled(instruction: str, rng: random.Random) -> str:
    """The instruction with its pieces in a wrong order."""
    size = rng.randint(2, 3)
    pieces = [instruction[i : i + size] for i in range(0, len(instruction), size)]
    rng.shuffle(pieces)
    return "".join(pieces)


def blanked(instruction: str, rng: random.Random) -> str:
    """The instruction torn apart by blank lines."""
    middle = rng.randint(len(instruction) // 3, max(len(instruction) // 3, len(instruction) * 2 // 3))
    return instruction[:middle] + "\n" * rng.randint(4, 8) + instruction[middle:]


Corruption = Callable[[str, random.Random], str]

CORRUPTIONS: dict[str, Corruption] = {
    "truncated": truncated,
    "duplicated": duplicated,
    "dangling": dangling,
    "personal": personal,
    "multimodal": multimodal,
    "scrambled": scrambled,
}
"""The kinds that the judge is trained on."""

UNSEEN: dict[str, Corruption] = {"vague": vague, "blanked": blanked}
"""Kinds kept for the evaluation alone: what the judge makes of faults that nobody showed it."""

CLUTTER = (
    "首页 > 正文",
    "点击关注，了解更多精彩内容。",
    "上一篇：生活小常识　下一篇：返回列表",
    "责任编辑：网站编辑部",
    "分享到：微信 微博 空间",
    "大家好，今天跟大家聊聊这个话题，希望对你有帮助。",
    "版权所有，转载请注明出处。",
    "觉得有用的话，别忘了点赞收藏。",
)


def cluttered(text: str, others: Sequence[str], rng: random.Random) -> str:
    """A clean text as a crawler finds it: clutter around it and a sentence of another text behind it.

    Teaches the chat model what polishing is, from pairs whose clean side is known.
    """
    parts = [text]
    if rng.random() < 0.6:
        parts.insert(0, rng.choice(CLUTTER))
    if others and rng.random() < 0.6:
        parts.append(rng.choice(others).split("。")[0] + "。")
    if rng.random() < 0.6:
        parts.append(rng.choice(CLUTTER))
    return "\n".join(parts)
