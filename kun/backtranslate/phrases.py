"""Phrases that disqualify an instruction or an answer: anchored patterns (default), and the bare words of the paper."""

import re

TEMPLATE_MARKERS = re.compile(
    r"<(?:start_of_turn|end_of_turn|bos|eos|pad|s|/s)>|<\|[a-z_]+\|>|\[/?INST\]|#{2,} ?(?:指令|回答|Instruction|Response)|【[好差]】"
)
"""Leftovers of chat templates and of our own prompts."""

DANGLING = re.compile(
    r"(?:根据|依据|按照|结合|阅读|参考|针对|利用|使用)(?:以上|上述|上面|以下|下列|下面|给定|所给|提供|给出|这|该|本|此)?"
    r"(?:的)?(?:材料|文章|文本|短文|文段|段落|内容|资料|信息|原文|上文|下文|图片|图表|表格|新闻|报道)"
    r"|(?:这|那|该|此|本|上述|以上|下列|以下|下面)(?:的|一)?(?:篇|段|则|份|首|句|张|幅)?"
    r"(?:文章|文本|短文|文段|段落|材料|资料|原文|新闻|报道|回答|图片|图表|表格|内容|文字|片段|摘要)"
    r"|(?:文中|文内|上文|下文|前文|原文中|如图|见图|图中|本文|该文|此文)"
    r"|(?:according to|based on|in) the (?:above|following|given|text|article|passage|material|picture)|the (?:above|following) (?:text|article|passage)",
    re.IGNORECASE,
)
"""References to a context that the final record does not contain. 根据牛顿第二定律 survives."""

KEYWORDS = re.compile("新闻|材料|图片|链接|网址|网站|根据|文章|文本|摘要|提取|关键词|简历|简介")
"""The word families of the reference implementation (specs: instruction rules), for comparison."""

OTHER_MODES = re.compile(
    r"https?://|www\.|(?:看|观察|识别|描述)(?:这|下|该|此)?(?:张|幅)?图|(?:点击|打开)(?:链接|网址)|(?:播放|听)(?:这|下|该)?(?:段|首)?(?:音频|视频)"
)
"""Asks for links, pictures or sound."""

REFUSALS = re.compile(
    r"作为(?:一个|一名|一款|一种)?\s*(?:AI|人工智能|大?语言模型|智能助手|聊天机器人|虚拟助手)"
    r"|(?:我|本人|本模型)(?:暂时|目前|很?遗憾)?(?:无法|不能|没有办法|没有能力)(?:直接)?(?:提供|回答|访问|浏览|查看|获取|完成|协助|为您|给出|判断|预测)"
    r"|^.{0,20}(?:抱歉|对不起|不好意思|很遗憾)"
    r"|截至\s*20\d\d\s*年|(?:我的)?知识(?:库)?(?:截止|更新|截至)|我的知识库"
    r"|as an? (?:AI|artificial intelligence|language model)|I(?:'m| am) (?:sorry|unable)|I can(?:not|'t) (?:provide|help|assist|answer)",
    re.IGNORECASE,
)
"""Refusals and self-reference, anchored: 作为学生, 根据实验 and 2023年 are ordinary Chinese."""

REFUSAL_WORDS = re.compile("作为|知识库|2023|抱歉|根据")
"""The bare words of the reference implementation, for comparison."""

MENTIONS_TEXT = re.compile(
    r"(?:根据|依据|按照|从)(?:以上|上述|上面|所给|提供|给出|给定)?的?(?:资料|材料|上文|文章|文本|原文)(?:内容|信息|所述|可知|来看)?"
    r"|(?:资料|材料|文章|文中|上文|原文)(?:中)?(?:提到|指出|介绍|说明|显示|写道|认为)|(?:以上|上述)(?:资料|材料)"
)
"""The answer talks about the material that it was told not to mention."""

HEDGING_TAIL = re.compile(
    r"[\n，。；]?[^。！？\n]*(?:(?:建议|请)(?:您|你)?(?:咨询|查阅|参考|访问|登录|关注)[^。！？\n]*(?:官方|官网|网站|专业人士|相关部门|有关部门))[^。！？\n]*[。！？]?\s*$"
)
"""A closing sentence that sends the reader elsewhere, a defect visible in the public Kun data."""
