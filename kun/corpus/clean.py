"""data/ingested -> data/cleaned: repair each text, then drop by named rules.

docs/rules.md says where the numbers come from.
"""

import re
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast
from zlib import crc32

import polars as pl

from kun.corpus.letters import bare
from kun.corpus.privacy import mask_private
from kun.corpus.text import cjk_share, normalise
from kun.corpus.tidy import join_wrapped, strip_markup
from kun.errors import ConfigError
from kun.params import Clean
from kun.project import Project
from kun.tables.ledger import close_stage, rejects
from kun.tables.rules import Rule, split_by_rules
from kun.tables.shards import read_dataset

STAGE = "clean"
GRAM = 10
"""Characters of the run whose repetition is measured."""

HEAD = 20_000
"""Characters that the repetition rules look at; a longer text breaks `too_long` anyway."""

_LATIN_WORD = re.compile(r"[A-Za-z0-9]+")
_RARE, _RARE_COUNT = 0x20000, 0xA6E0  # CJK extension B: letters that hardly any text has, one for each Latin word
_MOJIBAKE = (
    r"[\x{FFFD}\p{Co}锛銆鈥]"  # replacement, private use, and what ，。“ in UTF-8 look like when read as GBK
    r"|[\x{C2}-\x{F4}][\x{80}-\x{BF}\x{152}-\x{178}\x{192}\x{2C6}\x{2DC}\x{2013}-\x{2122}]"  # UTF-8 read as Latin-1
    r"|锟斤拷|烫烫烫|屯屯屯"
)
_NOT_PROSE = r"(?s)```.*?```|`[^`\n]+`|\$\$.*?\$\$|\$[^$\n]+\$|(?:https?|ftp)://[!-~]+"  # code, formulas, addresses
_SYMBOL = r"[\p{N}\p{S}\p{P}&&[^，。、；：！？…—“”‘’（）《》.,;!?'\"()]]"
_FILLED_LINE = r"(?m)^.*\S.*$"
_LIST_ITEM = r"[-*+•·>#|◆●■★☆※✓①-⑳]|[(（]?(?:\d{1,2}|[一二三四五六七八九十]{1,3})[.、)）:：\s]"
_CLOSED_LINE = (
    r"(?m)\A[^\n]{1,40}$"  # a first line this short is a title
    rf"|^\s*(?:{_LIST_ITEM}).*$|[。！？!?][^。！？!?\n]{{1,20}}$|[。！？…!?；：:.~～”’\"」』）)】]\s*$"
)
_LINK = r"(?i)https?://|ftp://|\bwww\.[a-z0-9-]+\.[a-z]"

_ADVERT_SURE = (
    r"(?i)加(?:我|老师|客服|小编)?(?:的)?(?:微信|VX|V信|薇信|QQ)号?\s*[:：]?\s*(?:[A-Z0-9_-]{5,}|【)"
    r"|(?:QQ|微信)(?:群|客服)\s*[:：]?\s*(?:[A-Z0-9_-]{5,}|【)|客服(?:QQ|微信)\s*[:：]"
    r"|(?:客服|咨询|订购|招商|订票|业务|加盟|预约|报名)(?:电话|热线|QQ|微信)\s*[:：]?\s*(?:\d{3}|【)"
)
_ADVERT_WORDS = (
    "加微信|加QQ|微信同号|QQ群|扫码(?:关注|领取|添加|进群|咨询|下单)|客服电话|咨询电话|咨询热线|点击购买|点击领取|立即(?:抢购|下单|扫码|咨询|拨打)"
    "|原价\\d|现价\\d|立减|包邮|货到付款|无效退款|全额退款|限时(?:特惠|优惠|抢购)|名额有限|先到先得|手慢无|包教包会|一件代发|招代理|招全国代理"
    '|备注[“"]|机会不容错过|全国可查|快速下证|价格优惠|随叫随到'
    "|娱乐城|时时彩|六合彩|百家乐|赛车pk10|投注|彩金|老虎机|注册送"
)
_NAVIGATION_SEPARATOR = r"\s*[|｜>›»·\[\]\n]\s*|\s{2,}"
_NAVIGATION = (
    r"(?m)^(?:返回)?(?:首页|主页|登录|登陆|注册|忘记密码|上一[页篇]|下一[页篇]|返回顶部|联系我们|关于我们|网站地图|站点地图|友情链接|加入收藏"
    r"|收藏本站|设为首页|版权声明|免责声明|隐私政策|隐私声明|广告服务|意见反馈|帮助中心|查看更多|更多>*|当前位置|移动版|热门词条|最新更新|投诉建议"
    r"|产品|服务|案例|新闻中心|产品中心)(?:$|[:：\s])"
)
_COPYRIGHT = (
    r"(?i)版权所有|©|Copyright\s|All Rights Reserved|ICP备|责任编辑\s*[:：]|转载请(?:注明|联系)"
    r"|未经.{0,8}(?:许可|授权|同意).{0,8}转载|本文(?:来源|转载)[:：自于]"
)
COPYRIGHT_TAIL = 100
"""Characters at the end that the copyright rule reads: in the middle of a text such words are its subject."""


def clean(project: Project, params: Clean, count_tokens: Callable[[list[str]], list[int]]) -> dict[str, Any]:
    """Repair and filter data/ingested; returns the counts. Ids stay those of the ingested texts.

    `count_tokens` (base model, without template) is asked once, and only for texts that passed every other rule.
    """
    texts = read_dataset(project.dataset("ingested"))
    checks = rules(params)
    length = {"too_long": checks.pop("too_long")}
    repaired = tidied(texts, params)
    private = repaired["private"].explode(empty_as_null=False).value_counts(sort=True, name="places")
    cheap = split_by_rules(features(repaired), checks)
    counts = count_tokens(cheap.kept["text"].to_list())
    costly = split_by_rules(cheap.kept.with_columns(n_tokens=pl.Series(counts, dtype=pl.Int64)), length)
    # The ledger quotes masked texts: it travels, and its examples stand in the report.
    dropped = [rejects(part.dropped, STAGE, excerpt="masked") for part in (cheap, costly)]
    extra = {"tokens": sum(counts), "private": dict(private.iter_rows())}
    return close_stage(project, STAGE, "cleaned", texts.height, costly.kept, dropped, **extra)


def rules(params: Clean) -> dict[str, Rule]:
    """Every rule on the columns of `features`, the most telling first: an advertisement before its odd lines."""

    def at_most(column: str, limit: float) -> Rule:
        return Rule(pl.col(column) <= limit, pl.col(column).round(4), f"<= {limit}")

    def at_least(column: str, limit: float) -> Rule:
        return Rule(pl.col(column) >= limit, pl.col(column).round(4), f">= {limit}")

    return {
        "too_short": Rule(pl.col("n_chars") >= params.min_chars, pl.col("n_chars"), f">= {params.min_chars}"),
        "mojibake": at_most("mojibake_share", params.max_mojibake_share),
        "not_chinese": at_least("cjk_share", params.min_cjk_share),
        "advertising": Rule(
            (pl.col("advert_sure").list.len() == 0) & (pl.col("advert_words").list.len() < 2),
            pl.concat_list("advert_sure", "advert_words").list.join(" "),
            "no contact for buyers, at most 1 word",
        ),
        "navigation": Rule(pl.col("navigation").list.len() < 3, pl.col("navigation").list.join(" "), "at most 2 words"),
        "links": at_most("links", params.max_links),
        "private_data": Rule(
            pl.col("unwanted").list.len() == 0,
            pl.col("unwanted").list.join(" "),
            "none, with clean.private: drop",
        ),
        "copyright_tail": Rule(pl.col("copyright").is_null(), pl.col("copyright"), f"not in the last {COPYRIGHT_TAIL}"),
        "symbols": at_most("symbol_share", params.max_symbol_share),
        "duplicate_lines": at_most("dup_line_share", params.max_dup_line_share),
        "repeated_grams": at_most("top_gram_share", params.max_top_gram_share),
        "open_lines": at_most("open_line_share", params.max_open_line_share),
        "too_long": Rule(pl.col("n_tokens") <= params.max_tokens, pl.col("n_tokens"), f"<= {params.max_tokens}"),
    }


def tidied(texts: pl.DataFrame, params: Clean) -> pl.DataFrame:
    """Repair `text`, and add what `mask_private` finds: `masked`, `private`, and `unwanted`, which the rule drops.

    With `clean.private: mask` the masked text is the text; with `keep` nothing happens to it.
    """
    convert = _simplifier() if params.simplify else str
    repaired = [convert(join_wrapped(normalise(strip_markup(text)))) for text in texts["text"]]
    return texts.with_columns(mask_private(pl.Series(repaired, dtype=pl.String), params.private, params.ner))


def _simplifier() -> Callable[[str], str]:
    """Traditional to simplified; `opencc` is optional, so it is looked for only here."""
    try:
        opencc = import_module("opencc")
    except ModuleNotFoundError:
        raise ConfigError("clean.simplify needs the package opencc: pip install opencc, or set it to false") from None
    return cast(Callable[[str], str], opencc.OpenCC("t2s").convert)


def features(texts: pl.DataFrame) -> pl.DataFrame:
    """Add what the rules look at, and the length of the repaired text."""
    text = pl.col("text")
    prose = text.str.replace_all(_NOT_PROSE, "")
    n_chars = text.str.len_chars().cast(pl.Int64)
    lines = prose.str.head(HEAD).str.split("\n").list.eval(pl.element().str.strip_chars().filter(pl.element() != ""))
    filled = prose.str.count_matches(_FILLED_LINE)
    visible = pl.max_horizontal(prose.str.count_matches(r"\S"), 1)
    return texts.with_columns(
        n_chars=n_chars,
        cjk_share=cjk_share(prose),
        mojibake_share=text.str.count_matches(_MOJIBAKE) / pl.max_horizontal(n_chars, 1),
        symbol_share=prose.str.count_matches(_SYMBOL) / visible,
        open_line_share=1 - prose.str.count_matches(_CLOSED_LINE) / pl.max_horizontal(filled, 1),
        dup_line_share=1 - lines.list.n_unique() / pl.max_horizontal(lines.list.len(), 1),
        top_gram_share=pl.Series([top_gram_share(value) for value in texts["text"]], dtype=pl.Float64),
        links=text.str.count_matches(_LINK),
        advert_sure=text.str.extract_all(_ADVERT_SURE),
        advert_words=text.str.extract_all(_ADVERT_WORDS).list.unique(maintain_order=True),
        navigation=text.str.replace_all(_NAVIGATION_SEPARATOR, "\n").str.extract_all(_NAVIGATION),
        copyright=text.str.tail(COPYRIGHT_TAIL).str.extract(f"({_COPYRIGHT})"),
    )


def top_gram_share(text: str) -> float:
    """Share of prose covered by its most frequent run of GRAM ideographs (a Latin word counts as one).

    0 unless the run occurs three times and some run twice as long occurs twice: without that, long names that a short
    text needs again and again were half of the drops on real abstracts and encyclopedia entries.
    """
    prose = re.sub(_NOT_PROSE, "", text[:HEAD])
    letters = bare(_LATIN_WORD.sub(lambda word: chr(_RARE + crc32(word[0].encode()) % _RARE_COUNT), prose))
    if not _top_gram(letters, 2 * GRAM):
        return 0.0
    times = letters.count(_top_gram(letters, GRAM))
    return times * GRAM / len(letters) if times >= 3 else 0.0


def _top_gram(letters: str, size: int) -> str:
    """The most frequent run of `size` characters, the earliest of equals; "" when none occurs twice."""
    grams = Counter(letters[start : start + size] for start in range(len(letters) - size + 1))
    gram, times = max(grams.items(), key=lambda item: item[1], default=("", 0))
    return gram if times > 1 else ""
