"""Words of advertisements, page furniture, betting and adult pages, as crawled Chinese pages have them."""

import polars as pl

ADVERT_SURE = (
    r"(?i)加(?:我|老师|客服|小编)?(?:的)?(?:微信|VX|V信|薇信|QQ)号?\s*[:：]?\s*(?:[A-Z0-9_-]{5,}|【)"
    r"|(?:QQ|微信)(?:群|客服)\s*[:：]?\s*(?:[A-Z0-9_-]{5,}|【)|客服(?:QQ|微信)\s*[:：]"
    r"|(?:客服|咨询|订购|招商|订票|业务|加盟|预约|报名)(?:电话|热线|QQ|微信)\s*[:：]?\s*(?:\d{3}|【)"
)
ADVERT_WORDS = (
    "加微信|加QQ|微信同号|QQ群|扫码(?:关注|领取|添加|进群|咨询|下单)|客服电话|咨询电话|咨询热线|点击购买|点击领取|立即(?:抢购|下单|扫码|咨询|拨打)"
    "|原价\\d|现价\\d|立减|包邮|货到付款|无效退款|全额退款|限时(?:特惠|优惠|抢购)|名额有限|先到先得|手慢无|包教包会|一件代发|招代理|招全国代理"
    '|备注[“"]|机会不容错过|全国可查|快速下证|价格优惠|随叫随到'
)

SPAM_WORDS = (
    "注册送|送彩金|首存|首充送|真人荷官|真人视讯|真人娱乐|在线娱乐|线上娱乐|娱乐平台|娱乐城|博彩平台|博彩网|博彩公司|线上博彩|投注平台|投注网"
    "|网上投注|时时彩|赛车pk10|北京赛车|六合彩|特码|一肖|彩票平台|彩票网|百家乐|老虎机|电子游艺|棋牌平台|棋牌游戏平台|bet365|威尼斯人|新葡京|太阳城"
    "|开户送|存款送|返水|官网登录|官网入口|备用网址|手机版下载|app下载|APP下载"
    "|成人电影|成人视频|成人小说|成人网站|成人论坛|黄色网站|黄色电影|黄色小说|色情电影|情色|AV在线|av在线|AV女优|av女优|AV天堂|av天堂|无码|一本道|在线观看|免费观看|手机在线"
    "|高清视频|裸聊|约炮|同城交友|包夜|援交|上门服务|楼凤|全套服务"
    "|代开发票|开发票|办证|刻章|私家侦探|迷药|窃听器|信用卡套现|代孕|无抵押贷款|黑户贷款"
)
"""Words of betting, adult and forgery pages. One stands in any report about them: see SPAM_KINDS and SPAM_SHARE."""
SPAM_KINDS = 3
"""Different words from which a text can be such a page."""
SPAM_SHARE = 0.03
"""Characters of these words among all, from which it is one: pages are stuffed with them, reports are not."""

REPORT = "警方|公安|检察|法院|涉案|嫌疑人|犯罪|诈骗|戒赌|赌瘾|违法|监管"
"""Words of reports about such pages, which advertise nothing."""

_NAVIGATION_WORDS = (
    "首页|主页|登录|登陆|注册|忘记密码|上一页|上一篇|下一页|下一篇|返回顶部|联系我们|关于我们|网站地图|站点地图|友情链接|加入收藏|收藏本站"
    "|设为首页|版权声明|免责声明|隐私政策|隐私声明|广告服务|意见反馈|帮助中心|查看更多|更多|当前位置|移动版|热门词条|最新更新|投诉建议"
    "|产品|服务|案例|新闻中心|产品中心"
)
_NAVIGATION_HINT = rf"(?:{_NAVIGATION_WORDS})(?:$|[>|｜›»·\[\]:：\s])"
_NAVIGATION_SEPARATOR = r"\s*[|｜>›»·\[\]\n]\s*|\s{2,}"
_NAVIGATION = rf"(?m)^(?:返回)?(?:{_NAVIGATION_WORDS})>*(?:$|[:：\s])"

COPYRIGHT = (
    r"(?i)版权所有|©|Copyright\s|All Rights Reserved|ICP备|责任编辑\s*[:：]|转载请(?:注明|联系)"
    r"|未经.{0,8}(?:许可|授权|同意).{0,8}转载|本文(?:来源|转载)[:：自于]"
)
COPYRIGHT_TAIL = 100
"""Characters at the end that the copyright rule reads: in the middle of a text such words are its subject."""

KEYWORDS = r"(?:[\p{Han}A-Za-z0-9 ]{2,12}[_|丨｜]){5,}"
"""Five search words or more in a row, as titles of pages made for search engines have them."""

TRUNCATED = (
    r"(?:阅读全文|查看全文|展开全文|阅读更多|查看更多|点击查看|全文阅读|点此阅读|未完待续|待续|下载全文|\[详细\]|【详细】|>>详细|更多详情|更多内容)"
    r"[\s。.…>»)）\]】]*$"
)
"""Ends that say that the text goes on elsewhere."""
ENDED = r"""[。！？…!?.;；:：~～”’"'」』》）)】\]`|>\p{So}\p{Sk}\p{Emoji_Presentation}]\s*$"""
"""An end as sentences, quotations, lists, tables and code have it."""


def navigation(texts: pl.Series) -> pl.Series:
    """Navigation words that stand alone between line ends and separators, for each text."""
    places = texts.str.contains(_NAVIGATION_HINT).arg_true()  # the costly look is for these only
    words = texts.gather(places).str.replace_all(_NAVIGATION_SEPARATOR, "\n").str.extract_all(_NAVIGATION)
    found = dict(zip(places, words, strict=True))
    return pl.Series([found.get(place, []) for place in range(len(texts))], dtype=pl.List(pl.String))


def found(text: pl.Expr) -> pl.Expr:
    """Spam words, each place."""
    # Up to about fifty literals a regex is sought with SIMD, three times as fast as `contains_any`.
    words = SPAM_WORDS.split("|")
    hinted = pl.any_horizontal(text.str.contains("|".join(half)) for half in (words[::2], words[1::2]))
    return pl.when(hinted).then(text).str.extract_all(SPAM_WORDS).fill_null([])
