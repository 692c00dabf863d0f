"""How private data is written: forms of each kind, what makes sure of them, and a quick look for texts that may have some.

Bodies are read by two engines, Python's and polars': no look-around in them, and [0-9], as \\d means more to the other.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import NamedTuple

import polars as pl

Check = Callable[[re.Match[str]], bool]


class Span(NamedTuple):
    """A place in a text, end excluded, and what stands there."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Form:
    """One way to write a kind: `body`, or its group `it`, between characters that `before` and `after` allow.

    Polars looks for the body too, or for `trigger` where that is simpler: in every match, and quick.
    """

    kind: str
    body: str
    before: str = r"(?<!\d)(?<!\d\.)"
    after: str = r"(?!\d|\.\d)"
    check: Check = lambda match: True
    trigger: str = ""
    reach: int = 64
    """Characters that the form can have on either side of its trigger."""

    def likely(self) -> pl.Expr:
        """Whether the column `text` may hold it."""
        plain = re.sub(r"\?P<\w+>", "?:", self.trigger or self.body)
        return pl.col("text").str.contains(f"(?i){plain}").alias(plain)

    def places(self, text: str) -> Iterator[Span]:
        """Where it stands in `text` as it is now."""
        body, before = _compiled(f"(?:{self.body}){self.after}"), _compiled(self.before)
        for first, last in _windows(self.trigger, self.reach, text) if self.trigger else [(0, len(text))]:
            while match := body.search(text, first, last):
                # Looked at afterwards: a pattern that begins with a look-behind is three times as slow.
                allowed = before.match(text, match.start())
                first = match.end() if allowed else match.start() + 1
                if allowed and self.check(match):
                    yield Span(*match.span("it" if "it" in body.groupindex else 0), self.kind)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII | re.IGNORECASE)


def _windows(trigger: str, reach: int, text: str) -> list[tuple[int, int]]:
    """Where to look around each match of the trigger, joined where they meet."""
    windows: list[tuple[int, int]] = []
    for match in re.finditer(trigger, text, re.IGNORECASE):
        first, last = max(0, match.start() - reach), match.end() + reach
        if windows and first <= windows[-1][1]:
            first = windows.pop()[0]
        windows.append((first, last))
    return windows


_NUMBERED = re.compile(
    r"(?:单号|编号|流水号|序列号|货号|型号|工号|学号|批号|书号|文号|ISBN|ISSN|DOI|\bid)[ :：#是为=-]{0,4}$|//[!-~]{0,200}$",
    re.IGNORECASE,
)
_CALL = re.compile(
    r"(?:电话|手机|联系|热线|客服|致电|拨打|咨询|座机|传真|微信|加v|tel|phone|mobile)[^【】\n]{0,8}$", re.IGNORECASE
)


def _front(match: re.Match[str], width: int) -> str:
    return match.string[max(0, match.start() - width) : match.start()]


def _no_other_number(match: re.Match[str]) -> bool:
    """Not called an order number or the like, not part of an address on the web or of a row of numbers."""
    string, (start, end) = match.string, match.span()
    row = " " in match[0] and (
        re.search(r"[0-9] $", string[max(0, start - 2) : start]) or re.match(r" [0-9]", string[end : end + 2])
    )
    return not row and not _NUMBERED.search(_front(match, 210))


def _called(match: re.Match[str]) -> bool:
    """Behind a word about calling somebody."""
    return bool(_CALL.search(_front(match, 20))) and _no_other_number(match)


def _is_identity(match: re.Match[str]) -> bool:
    """Region, birthday and check digit are right."""
    number = re.sub("[ -]", "", match[0]).upper()
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _IDENTITY_WEIGHTS, strict=True))
    return bool(_REGIONS.match(number)) and _is_day(number[6:14]) and _IDENTITY_CHECKS[total % 11] == number[17]


def _is_old_identity(match: re.Match[str]) -> bool:
    return bool(_REGIONS.match(match["it"])) and _is_day(f"19{match['it'][6:12]}")


def _is_day(digits: str) -> bool:
    try:
        return 1800 <= date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year < 2100
    except ValueError:
        return False


def _is_card(match: re.Match[str]) -> bool:
    """Luhn's check digit, and 16 digits unless a Chinese bank (62, 60, 9558) or American Express gave it out."""
    digits = re.sub(r"\D", "", match[0])
    chinese = digits.startswith(("62", "60", "9558"))
    return (chinese or len(digits) == (15 if digits[0] == "3" and digits[1] in "47" else 16)) and (
        luhn(digits) and _no_other_number(match)
    )


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812."""
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_hotline(match: re.Match[str]) -> bool:
    return ("-" in match[0] and _no_other_number(match)) or _called(match)


def _is_abroad(match: re.Match[str]) -> bool:
    """9 to 15 digits (E.164), which is more than a sum behind a plus sign has."""
    return 9 <= sum(letter.isdigit() for letter in match[0]) <= 15


def _is_plate(match: re.Match[str]) -> bool:
    return sum(letter.isdigit() for letter in match[0]) >= 2


def _is_open_address(match: re.Match[str]) -> bool:
    """One of the open network: 127.0.0.1 and 192.168.1.1 are nobody's; 4.1.3.1 is a version, or the teeth of a cow."""
    number = match[0]
    try:
        address = ipaddress.ip_address(number)
    except ValueError:
        return False
    return address.is_global and (":" in number or sum(len(part) > 1 for part in number.split(".")) >= 2)


def _is_wechat(match: re.Match[str]) -> bool:
    """微信 Windows 版 and 微信 20210115 are none: without colon a name needs both a letter in front and a digit."""
    name = match["it"]
    if not match["link"].strip():
        return name[0].isalpha() and bool(re.search(r"[0-9_]", name))
    return name.lower() not in ("wechat", "weixin", "windows", "android", "iphone", "public")


def _is_somebodys(match: re.Match[str]) -> bool:
    """Domains that RFC 2606 and 6761 reserve for examples and tests belong to nobody, and user@ is no person."""
    name, domain = re.split(r" ?(?:@|#|[(\[（]at[)\]）]) ?", match[0].lower(), maxsplit=1)
    nobody = re.search(
        r"(?:^|\.)(?:example\.(?:com|net|org)|test|invalid|local|localhost|localdomain|dom|ext)$", domain
    )
    return not nobody and not re.fullmatch(
        r"git|root|foo|user(?:name)?|loginname|(?:your|my)?(?:e?mail|name)|example|first\.last", name
    )


def _is_home(match: re.Match[str]) -> bool:
    """A region or a room stands beside road and number; 位于 and no room tells of a public place."""
    told = re.search(r"(?:位于|[座坐]落|地处|设[于在]|建于)[^【】，。]{0,6}$", _front(match, 12))
    return bool(match["room"] or (match["region"] and not told))


_IDENTITY_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999
_IDENTITY_CHECKS = "10X98765432"
_REGIONS = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")  # GB/T 2260
_PLATES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_SEPARATOR = "[-–—. ·]"
_AREA = "(?:10|2[0-9]|[3-9][0-9]{2})"
_LOCAL = "[2-9][0-9]{2,3}[- ]?[0-9]{4}(?:(?:[-–—]| ?转 ?)[0-9]{1,5})?"
_CHINA = r"(?:(?:\+|00)?86[- ]?)?"
_MOBILE = (
    rf"1[3-9][0-9](?:[0-9]{{8}}|{_SEPARATOR}[0-9]{{4}}{_SEPARATOR}?[0-9]{{4}}|[0-9]{_SEPARATOR}[0-9]{{3}}{_SEPARATOR}[0-9]{{4}}"
    r"|[0-9]{4}[- ][0-9]{4}|[0-9]{3}[- ][0-9]{5})"
)
_NOT_A_SUM = r"(?!\d|\.\d|\s?多?[万亿]?(?:元|美元|人|吨|次|个|米|年|字节|[%％]))"
_PROVINCES = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾"
    "|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)


def _han_but(others: str) -> str:
    """A class of ideographs without some, in a form that both engines read."""
    starts = [0x4E00, *(ord(letter) + 1 for letter in sorted(others))]
    ends = [*(ord(letter) - 1 for letter in sorted(others)), 0x9FFF]
    return "[" + "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(starts, ends, strict=True) if a <= b) + "]"


_NAME = _han_but("在到至于是为住寄的了往址位去我你他她它们这那有点")  # hardly in names of places, often before them
_REGION = (
    rf"(?:(?:{_PROVINCES})(?:省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区)?)?"
    rf"(?:{_NAME}{{1,7}}?(?:市|自治州|地区|盟))?(?:{_NAME}{{1,7}}?(?:区|县|旗|市))?(?:{_NAME}{{1,6}}?(?:镇|乡|街道))?"
)
_ROAD = (
    rf"{_NAME}{{1,8}}?(?:路|街|大道|道|巷|弄|胡同|里|村)"
    r"(?:[东南西北中]?[一二三四五六七八九十]{0,2}[段街路里组巷]|[东南西北]|[0-9]{1,3}(?:弄|巷|组|条))?"
)
_NUMBER = r"[ ]?[0-9]{1,5}(?:[-之][0-9]{1,4})?[ ]?(?:号院|号楼|号|弄)"
_ESTATE = r"(?:小区|花园|公寓|家园|新村|大厦|广场|[苑园城庭邸府居])"
_ROOM = (
    r"(?:[0-9]{1,3}号)?(?:[0-9A-Z]{1,4}(?:号楼|栋|幢|座|号院|楼))?(?:[0-9一二三四五六七八九十]{1,3}单元)?"
    r"(?:[0-9一二三四五六七八九十]{1,3}[层楼])?[A-Z]?[0-9]{1,5}-?[0-9]{0,4}(?:室|房|号房|户)"
)
_UNIT = (
    r"[0-9A-Z]{1,4}(?:号楼|栋|幢|座)[ ]?(?:[0-9一二三四五六七八九十]{1,3}单元[ ]?(?:[0-9]{3,4}(?:室|房|号)?)?"
    r"|[0-9]{3,4}(?:室|房|号)?)"
)
_WORD = "(?<![A-Za-z])|(?![A-Za-z])"  # a word of letters begins here, or one of ideographs
_QQ = r"(?:QQ|扣扣|企鹅号|[加+]Q)(?:群|号码?)?[ ]*[:：是为]?[ ]*(?P<it>[1-9][0-9]{4,11})"
_WECHAT = (
    r"(?:微信|薇信|徽信|V信|vx|wx|wechat|weixin|[v微薇][❤♥💗💕]|[加+➕]v|加[微薇])(?:号码?|id|同号)?(?P<link>[ ]*[:：是为]?[ ]*)"
    r"(?P<it>[A-Z0-9][A-Z0-9_-]{5,19})"
)

FORMS = (
    Form(
        "邮箱",
        r"[A-Z0-9][A-Z0-9_.+-]{0,63}(?:(?:[ ]?@[ ]?|[ ]?[(\[（]at[)\]）][ ]?)(?:[A-Z0-9-]{1,24}\.){1,4}[A-Z]{2,16}"
        r"|#(?:qq|vip\.qq|163|126|sina|gmail|foxmail|hotmail|outlook)\.(?:com|cn))",
        r"(?<![\w.+-])",
        "",
        _is_somebodys,
        r"@|#[qv1sgfho]|\(at|\[at|（at",
        112,
    ),
    Form("身份证号", r"[1-9][0-9](?:[ -]?[0-9]){15}[ -]?[0-9X]", check=_is_identity),
    Form("身份证号", r"身份证(?:号码?)?[:：是为 ]{0,3}(?P<it>[1-9][0-9]{14})", check=_is_old_identity),
    Form("护照号", r"(?:护照|passport)(?:号码?|编号| ?No\.?)?[:：是为 ]{0,3}(?P<it>[A-Z]{1,2}[0-9]{6,8}|[0-9]{9})"),
    Form(
        "银行卡号",
        r"(?:[3-6][0-9]{3}|9558)(?:[ -]?[0-9]{4}){3}(?:[ -]?[0-9]{1,3})?|62[0-9]{4}[ -][0-9]{10,13}"
        r"|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}",
        before=r"(?<![\w.])",
        check=_is_card,
    ),
    Form(
        "热线",
        r"[48]00[- ]?[0-9]{3}[- ]?[0-9]{4}|[48]00[- ]?[0-9]{4}[- ]?[0-9]{3}|[48]00[0-9][- ][0-9]{3}[- ][0-9]{3}",
        r"(?<![\d.-])",
        r"(?!-?\d|\.\d)",
        _is_hotline,
    ),
    Form(
        "电话",
        "|".join(prefix + _MOBILE for prefix in ("", r"\+86[- ]?", "0086[- ]?", "86[- ]?")),  # each begins with a sign
        after=_NOT_A_SUM,
        check=_no_other_number,
    ),
    Form("电话", r"1[ ._·-]{1,2}[3-9](?:[ ._·-]{1,2}[0-9]){9}", check=_called),
    Form(
        "电话",
        "[一幺][三四五六七八九][零〇一幺二三四五六七八九]{9}|①[③④⑤⑥⑦⑧⑨][⓪①②③④⑤⑥⑦⑧⑨]{9}",
        "(?<![零〇一幺二三四五六七八九十百千万点⓪①②③④⑤⑥⑦⑧⑨])",
        "(?![零〇一幺二三四五六七八九十百千万⓪①②③④⑤⑥⑦⑧⑨])",
    ),
    Form(
        "电话",
        rf"{_CHINA}(?:[(（]0{_AREA}[)）][- ]?|0{_AREA}[-–— ]{{1,3}}){_LOCAL}",
        after=_NOT_A_SUM,
        check=_no_other_number,
    ),
    Form("电话", rf"0{_AREA}[2-9][0-9]{{6,7}}(?: ?转 ?[0-9]{{1,5}})?", check=_called),
    Form("电话", rf"(?:电话|座机|传真|TEL)(?:号码?)?[:：是为 .]{{0,3}}(?P<it>{_LOCAL})"),
    Form(
        "电话",
        r"\+[1-9][0-9]{0,2}(?:[- ]?[(（][0-9]{1,4}[)）])?(?:[- .]?[0-9]{1,5}){2,6}",
        r"(?<![\w+.])",
        check=_is_abroad,
    ),
    Form(
        "车牌号",
        rf"[{_PLATES}][A-HJ-NP-Z][-·•. ]?"
        "[A-HJ-NP-Z0-9]{4}(?:[A-HJ-NP-Z0-9]{1,2}|[挂学警港澳])",
        "",
        "(?![A-Z0-9])",
        _is_plate,
    ),
    Form(
        "IP地址",
        r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}",
        r"(?<![\d.Vv])(?<!版本)(?<!版本号)",
        r"(?!\.?\d)",
        _is_open_address,
    ),
    Form(
        "IP地址", "[23][0-9A-F]{3}:(?:[0-9A-F]{0,4}:){2,6}[0-9A-F]{0,4}", r"(?<![\w:.])", r"(?![\w:])", _is_open_address
    ),
    Form("账号", _QQ, _WORD, r"(?!\d|\.\d|[ ]?(?:万|亿|个|人|年|版))"),
    Form("账号", _WECHAT, _WORD, "(?![A-Za-z0-9_-])", _is_wechat),
    Form(
        "地址",
        rf"(?P<region>{_REGION}){_ROAD}{_NUMBER}(?P<room>(?:[ ]?{_NAME}{{0,10}}?{_ESTATE})?[ ]?(?:{_ROOM}|{_UNIT}))?",
        "",
        "(?!线|文件|令|公告|机|选手|球|桥|井|矿|台风|高地|航|高速|公路|国道|站台|门)",
        _is_home,
        r"[0-9][ ]?(?:号|弄)",
    ),
    Form(
        "地址",
        rf"{_REGION}{_NAME}{{1,10}}?{_ESTATE}[ ]?{_UNIT}",
        "",
        "",
        trigger=r"[0-9A-Z](?:号楼|栋|幢|座)[ ]?[0-9一二三四五六七八九十]",
    ),
)

LIKELY = pl.any_horizontal(
    pl.col("text").str.contains(gate)
    for gate in (
        "@",
        "#[qv1sgfhoQVSGFHO]",
        r"[(\[（][Aa][Tt]",
        r"[0-9]{5}|[0-9]{3}[ -][0-9]{4}|[0-9](?:[ ._·()（）–—-]{1,3}[0-9]+){2}|[23][0-9A-Fa-f]{3}:",
        "[一幺①][三四五六七八九③-⑨][零〇一幺二三四五六七八九①-⑨⓪]{9}",
        f"(?:{'|'.join(_PLATES)})[A-Za-z]",
        "[微薇徽]信|[VvWw][Xx]|[Vv]信|[Ww][Ee][Cc]hat|WECHAT|[Ww]eixin|[❤♥💗💕]|加[Vv微薇]|[+➕][Vv]",
        "[0-9] ?[号弄]|号楼|栋|幢",
        "[A-Za-z0-9]座",
    )
)
"""Quick, and true of every text in which a form finds something; few others pass."""
