"""Phrases that disqualify an instruction or an answer: anchored patterns (default), and the bare words of the paper."""

import re

TEMPLATE_MARKERS = re.compile(
    r"<(?:(?:start|end)_of_(?:turn|image)|bos|eos|pad|s|/s)>|<\|[a-z_]+\|>|\[/?INST\]|#{2,} ?(?:指令|回答|Instruction|Response)|【[好差]】"
)
"""Leftovers of chat templates and of our own prompts."""

_GIVEN = "(?:以上|上述|上面|以下|下列|下面|给定|给出|所给|提供|这|那|该|本|此)"
_PIECE = "(?:一)?(?:个|篇|段|则|份|首|句|张|幅)?"
_TEXT = "材料|文章|文本|短文|课文|选段|文段|段落|片段|摘要|内容|文字|资料|原文|图片|图表|表格|新闻|报道"
_USE = "(?:根据|依据|按照|结合|阅读|参考|针对|利用|使用)"

DANGLING = re.compile(
    rf"{_USE}(?:上文|下文|原文|文中)|{_USE}{_GIVEN}的?{_PIECE}(?:{_TEXT}|信息|对话)"
    # Without 以上 or 这 it takes a request behind it: 阅读文章时怎样做笔记 stands on its own.
    rf"|(?:根据|依据|按照|结合|阅读|参考)(?:{_TEXT}|信息|对话)中?的?(?:内容|信息|要求)?"
    r"(?:[，,。：:]|$|回答|概括|总结|分析|说明|判断|归纳|指出|简述|谈)"
    rf"|(?:这|那|该|此|本|上述|以上|上面|下列|以下|下面)的?{_PIECE}(?:{_TEXT}|回答)"
    # 把这句话译成白话：... brings its sentence along.
    r"|^[^：:“\"《\n]*(?:这|那|该|此|上面|上述|以上|以下|下列|下面|给定)的?(?:一)?"
    r"(?:段话|句话|个?句子|首诗|首词|首歌)(?!.*[：:“\"\n])"
    r"|文中|文内|上文|下文|前文|如图|见图|图中|本文|该文|此文"
    r"|(?:according to|based on|in) the (?:above|following|given|text|article|passage|material|picture)"
    r"|the (?:above|following) (?:text|article|passage)",
    re.IGNORECASE,
)
"""References to a context that the final record does not contain. 根据牛顿第二定律 and 利用信息技术 survive."""

KEYWORDS = re.compile("新闻|材料|图片|链接|网址|网站|根据|文章|文本|摘要|提取|关键词|简历|简介")
"""The word families of the reference implementation for comparison."""

_THIS = "(?:这|该|此|下|以下|下面|下列)的?(?:一)?(?:个|段|首|张|幅)?"

OTHER_MODES = re.compile(
    rf"https?://|www\.|(?:看|观察|识别|描述)(?:{_THIS}图|图片|照片|图中|图(?:写|说|回答))"
    rf"|(?:点击|打开|访问)(?:{_THIS})?(?:链接|网址)|(?:播放|听|收听){_THIS}(?:音频|视频|录音|歌曲|音乐)"
)
"""Asks for links, pictures or sound; 听音乐有什么好处 does not."""

_ASSISTANT = (
    "(?:(?:AI|人工智能|智能|虚拟)\\s*(?:语言|对话|聊天)?(?:模型|助手|助理|机器人|数字人|系统|程序)|AI|人工智能"
    "|(?:大型?|大规模)?(?:预训练)?语言模型(?:AI)?|聊天机器人)"
)

REFUSALS = re.compile(
    # The comma behind it keeps 作为人工智能的一个分支 and 作为一名人工智能工程师.
    rf"(?:作为|身为|我是)(?:一个|一名|一款|一种)?\s*{_ASSISTANT}\s*(?:[，,（(:：。]|我|$)"
    r"|(?:我|本人|本模型)(?:暂时|目前|很?遗憾)?(?:无法|不能|没有办法|没有能力)(?:直接)?"
    r"(?:提供|回答|访问|浏览|查看|获取|完成|协助|为您|给出|判断|预测)"
    r"|^.{0,20}(?:抱歉|对不起|不好意思|很遗憾)"
    r"|截至\s*20\d\d\s*年|知识(?:库)?(?:截止|截至)|我的?知识(?:库|更新)|知识库更新"
    r"|as an? (?:AI|artificial intelligence|language model)|I(?:'m| am) (?:sorry|unable)"
    r"|I can(?:not|'t) (?:provide|help|assist|answer)",
    re.IGNORECASE,
)
"""Refusals and self-reference, anchored: 作为学生, 根据实验 and 2023年 are ordinary Chinese."""

REFUSAL_WORDS = re.compile("作为|知识库|2023|抱歉|根据")
"""The bare words of the reference implementation, for comparison."""

MENTIONS_TEXT = re.compile(
    r"(?:根据|依据|按照|从)(?:以上|上述|上面|所给|提供|给出|给定)的?(?:资料|材料|文章|文本|内容|信息)"
    # 根据材料的性质 and 从文章的结构看 are about materials and articles in general.
    r"|(?:根据|依据|按照|从)(?:上文|原文|(?:资料|材料|文章|文本)(?:的?(?:内容|信息))?"
    r"(?:[，,“\"一二三四1-4]|所述|可知|来看|中|判断|可以看出|可以推))"
    r"|(?:资料|材料|文章|文中|上文|原文)(?:中)?(?:提到|指出|介绍|说明|显示|写道|认为)|(?:以上|上述)(?:资料|材料)"
)
"""The answer talks about the material that it was told not to mention."""

HEDGING_TAIL = re.compile(
    # Bounded everywhere: a small model can write 请参考 a thousand times.
    r"(?:^|[，；\n]|(?<=[。！？]))(?:(?:如|若|具体|详细|更多)[^，。！？；\n]{0,30}，)?[^，。！？；\n]{0,20}"
    r"(?:建议|请)(?:您|你)?(?:咨询|查阅|参考|访问|登录|关注)[^。！？\n]{0,60}"
    r"(?:官方|官网|网站|专业人士|相关部门|有关部门)[^。！？\n]{0,60}[。！？]?\s*$"
)
"""A closing clause that sends the reader elsewhere, a defect visible in the public Kun data."""


def found(pattern: re.Pattern[str], text: str) -> str:
    """The first match in `text`, or ""."""
    match = pattern.search(text)
    return match.group() if match else ""
