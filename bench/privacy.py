# ruff: noqa: E501 - one line for each kind of item
"""Private data: recall and precision by kind on planted items and look-alikes, and texts a second.

`python bench/privacy.py FOLDER` plants into texts of the .jsonl files of FOLDER (field `text`), one to a text: ITEMS of each kind
in every written form, with valid check digits, and as many look-alikes (order numbers, ISBN, versions, sums, wrong check digits,
addresses inside a network, streets without number). An item is found when its kind is found where it stands; a look-alike, when
anything is. `others` counts what was found in the same texts outside of both.
"""

import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
from corpus import read

from kun.corpus.privacy import find_private, mask_private
from kun.corpus.private_forms import luhn
from kun.corpus.text import normalise

ITEMS = 300  # of each kind
MIN_CHARS, MAX_CHARS = 40, 2000
REPEATS = 3
WEIGHTS, CHECKS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), "10X98765432"  # GB 11643-1999

Maker = Callable[[random.Random], tuple[str, str, str]]
"""(what stands before it, the item, what stands behind it)"""


def digits(source: random.Random, count: int) -> str:
    return "".join(source.choices("0123456789", k=count))


def name(source: random.Random) -> str:
    return source.choice(["zhang", "liwei", "wang.fang", "chen_jing", "zhao-lei", "xiaoming"]) + digits(source, 3)


def wide(text: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


def identity(source: random.Random) -> str:
    region = source.choice(["110101", "310104", "440305", "330106", "510107", "650102"])
    birthday = f"{source.randint(1940, 2009)}{source.randint(1, 12):02}{source.randint(1, 28):02}"
    number = region + birthday + digits(source, 3)
    return number + CHECKS[sum(int(a) * b for a, b in zip(number, WEIGHTS, strict=True)) % 11]


def card(source: random.Random) -> str:
    head, size = source.choice(
        [("622202", 19), ("621700", 19), ("622848", 19), ("622588", 16), ("4392", 16), ("5187", 16)]
    )
    number = head + digits(source, size - len(head) - 1)
    return number + next(digit for digit in "0123456789" if luhn(number + digit))


def mobile(source: random.Random) -> str:
    return f"1{source.choice('3456789')}{digits(source, 9)}"


def make_email(source: random.Random) -> tuple[str, str, str]:
    domain = source.choice(["qq.com", "163.com", "mail.kun-made.cn", "kun-made.edu.cn", "foxmail.com"])
    whole = f"{name(source)}@{domain}"
    forms = [
        whole,
        whole.upper(),
        wide(whole),
        whole.replace("@", " @ "),
        whole.replace("@", "(at)"),
        f"{digits(source, 9)}@qq.com",
    ]
    return source.choice(["邮箱：", "写信到", "E-mail: ", ""]), source.choice(forms), ""


def make_identity(source: random.Random) -> tuple[str, str, str]:
    number = identity(source)
    forms = [
        number,
        number.lower(),
        wide(number),
        f"{number[:6]} {number[6:14]} {number[14:]}",
        f"{number[:6]}-{number[6:14]}-{number[14:]}",
    ]
    return source.choice(["身份证号：", "身份证", "证件号码是", ""]), source.choice(forms), ""


def make_passport(source: random.Random) -> tuple[str, str, str]:
    number = source.choice(["E", "G", "EA", "EH"])
    number += digits(source, 9 - len(number))
    return (
        source.choice(["护照号：", "护照号码", "护照编号: ", "护照是"]),
        source.choice([number, number.lower(), wide(number)]),
        "",
    )


def make_card(source: random.Random) -> tuple[str, str, str]:
    number = card(source)
    fours = [number[place : place + 4] for place in range(0, len(number), 4)]
    forms = [number, " ".join(fours), "-".join(fours), wide(number)]
    return source.choice(["卡号", "银行卡：", "汇到", ""]), source.choice(forms), ""


def make_hotline(source: random.Random) -> tuple[str, str, str]:
    head, rest = source.choice(["400", "800"]), digits(source, 7)
    forms = [f"{head}-{rest[:3]}-{rest[3:]}", f"{head}-{rest}", f"{head}{rest[0]}-{rest[1:4]}-{rest[4:]}"]
    if source.random() < 0.5:
        return (
            source.choice(["电话：", "客服热线", "请拨打", "咨询"]),
            source.choice([head + rest, f"{head} {rest[:3]} {rest[3:]}"]),
            "",
        )
    return source.choice(["", "热线", "打"]), source.choice(forms), ""


def make_phone(source: random.Random) -> tuple[str, str, str]:
    number, area, local = (
        mobile(source),
        source.choice(["010", "021", "0571", "0931", "0755"]),
        str(source.randint(2, 8)) + digits(source, 7),
    )
    open_forms = [
        number, wide(number), f"{number[:3]}-{number[3:7]}-{number[7:]}", f"{number[:3]} {number[3:7]} {number[7:]}",
        f"{number[:3]}.{number[3:7]}.{number[7:]}", f"+86{number}", f"+86 {number}", f"86-{number}", f"0086{number}",
        f"{number[:4]}-{number[4:7]}-{number[7:]}", f"{number[:3]}-{number[3:]}", f"{area}-{local}", f"({area}){local}",
        f"（{area}）{local}", f"{area} {local}", f"{area}-{local}-{digits(source, 3)}", f"+86-{area}-{local}",
        f"+1 {source.randint(201, 989)}-{source.randint(200, 999)}-{digits(source, 4)}", f"+852 {local[:4]} {local[4:]}",
        f"+44 20 7{digits(source, 3)} {digits(source, 4)}", number.translate(str.maketrans("0123456789", "零一二三四五六七八九")),
        number.translate(str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")),
    ]  # fmt: skip
    called = [" ".join(number), "-".join(number), area + local, local]
    if source.random() < 0.2:
        return source.choice(["电话：", "电话"]), source.choice(called), ""
    return (
        source.choice(["电话", "手机：", "联系我", "Tel: ", ""]),
        source.choice(open_forms),
        source.choice(["", "（张先生）", "找我"]),
    )


def make_plate(source: random.Random) -> tuple[str, str, str]:
    head = source.choice("京津沪冀豫云辽黑湘皖鲁苏浙赣鄂桂甘晋蒙陕吉闽贵粤川") + source.choice("ABCDEFGHJKL")
    tail = "".join(source.choices("0123456789", k=4)) + source.choice("ABCDE0123456789")
    forms = [
        head + tail,
        f"{head}·{tail}",
        f"{head} {tail}",
        f"{head}-{tail}",
        f"{head}D{digits(source, 5)}",
        f"{head}F{digits(source, 5)}",
        wide(head + tail),
    ]
    return source.choice(["车牌", "车号是", "一辆"]), source.choice(forms), source.choice(["的轿车", ""])


def make_ip(source: random.Random) -> tuple[str, str, str]:
    four = f"{source.choice([58, 61, 101, 114, 116, 119, 121, 183, 202, 218, 220])}.{source.randint(16, 250)}.{source.randint(1, 250)}.{source.randint(1, 250)}"
    six = f"240{source.randint(8, 9)}:8{digits(source, 3)}:{digits(source, 4)}"
    forms = [
        four,
        four,
        f"{six}::{digits(source, 2)}",
        f"{six}:1:2:3:4:ab{digits(source, 2)}",
        f"{six}:0:0:0:0:{digits(source, 1)}",
    ]
    return source.choice(["IP地址", "来自", "IP: "]), source.choice(forms), source.choice(["的访问", ""])


def make_account(source: random.Random) -> tuple[str, str, str]:
    number, wechat = (
        str(source.randint(10**5, 10**10)),
        source.choice(["wx_", "zhang", "Li-", "abc_"]) + digits(source, 5),
    )
    qq = source.choice(["QQ：", "QQ群", "qq号是", "QQ ", "扣扣：", "加Q", "QQ号码: "])
    chat = source.choice(
        ["微信：", "微信号:", "加微信", "vx: ", "VX", "v❤：", "加V", "薇信", "WeChat: ", "微信号是", "➕v："]
    )
    return source.choice([(qq, number, ""), (chat, wechat, ""), (chat, wechat, "备注来意")])


def make_home(source: random.Random) -> tuple[str, str, str]:
    region = source.choice(
        [
            "浙江省杭州市西湖区",
            "北京市海淀区",
            "上海市徐汇区",
            "广东省深圳市南山区",
            "四川成都武侯区",
            "江苏省苏州市昆山市玉山镇",
            "南昌市东湖区",
        ]
    )
    road = (
        source.choice(["文三路", "中关村大街", "解放北路", "人民东路三段", "学院南路", "桂花巷", "东四十条胡同"])
        + f"{source.randint(1, 999)}号"
    )
    room = source.choice(
        [
            "华星大厦301室",
            "3栋2单元501室",
            "锦绣花园12幢1203室",
            "5号楼402",
            "11层1105室",
            f"{source.randint(2, 30)}栋{source.randint(101, 2009)}室",
        ]
    )
    flat = (
        source.choice(["幸福小区", "阳光家园", "翠苑新村"])
        + f"{source.randint(1, 40)}栋{source.randint(1, 4)}单元{source.randint(101, 909)}室"
    )
    forms = [region + road, region + road + room, road + room, region + flat, flat, f"{region}{road} {room}"]
    return (
        source.choice(["住址：", "家住", "地址是", "寄到", "住在"]),
        source.choice(forms),
        source.choice(["，收到后请回复", "。"]),
    )


MAKERS: dict[str, Maker] = {
    "邮箱": make_email, "身份证号": make_identity, "护照号": make_passport, "银行卡号": make_card, "热线": make_hotline,
    "电话": make_phone, "车牌号": make_plate, "IP地址": make_ip, "账号": make_account, "地址": make_home,
}  # fmt: skip


def wrong(number: str) -> str:
    """The same with another check digit."""
    return number[:-1] + str((int(number[-1].replace("X", "0")) + 1) % 10)


LOOKALIKES: dict[str, Maker] = {
    "order number": lambda s: (s.choice(["订单号", "运单编号：", "流水号"]), digits(s, s.choice([10, 11, 12, 15, 18, 20])), ""),
    "ISBN": lambda s: ("ISBN ", s.choice(["978-7-{0}-{1}-{2}", "9787{0}{1}{2}"]).format(digits(s, 3), digits(s, 5), digits(s, 1)), ""),
    "version": lambda s: (s.choice(["版本", "V", "升级到"]), f"{s.randint(1, 9)}.{s.randint(0, 9)}.{s.randint(0, 99)}.{s.randint(0, 9)}", ""),
    "date": lambda s: ("", f"{s.randint(1949, 2024)}-{s.randint(1, 12):02}-{s.randint(1, 28):02} {s.randint(0, 23):02}:{s.randint(0, 59):02}:00", ""),
    "sum": lambda s: (s.choice(["营收", "人口", "耗资"]), f"1{s.choice('3456789')}{digits(s, 9)}", s.choice(["元", "人", "美元", "次"])),
    "wrong identity": lambda s: ("", wrong(identity(s)), ""),
    "wrong card": lambda s: ("卡号", wrong(card(s)), ""),
    "inside address": lambda s: ("", s.choice(["192.168.{}.{}", "10.0.{}.{}", "172.16.{}.{}", "127.0.{}.{}"]).format(s.randint(0, 255), s.randint(1, 254)), ""),
    "example": lambda s: ("", s.choice(["user@host.com", "git@github.com", "a@example.com", "fe80::1", "2001:db8::1", "std::map"]), ""),
    "place": lambda s: (s.choice(["走到", "沿着", "他喜欢"]), s.choice(["中山路", "长安街", "南京东路", "地铁3号线", "人民广场", "东风路2号桥", "杭州市西湖区", "5号楼", "王府井大街"]), ""),
    "museum": lambda s: (s.choice(["位于", "坐落于"]), f"{s.choice(['北京市东城区', '西安市雁塔区'])}{s.choice(['景山前街', '小寨东路'])}{s.randint(1, 99)}号", ""),
    "numbers": lambda s: ("", " ".join(str(s.randint(0, 99)) for _ in range(12)), ""),
    "product": lambda s: (s.choice(["微信", "QQ", "护照"]), s.choice([" Windows 版", "20240115版", " 8.0.33", "办理", "音乐2024"]), ""),
}  # fmt: skip


def planted(source: random.Random, text: str, made: tuple[str, str, str]) -> tuple[str, int, int]:
    """`text` with the item behind one of its sentences, and where the item begins and ends."""
    before, item, after = (normalise(f"x{part}x")[1:-1] for part in made)
    ends = [end.end() for end in re.finditer(r"[。！？\n](?![!-~])", text)] or [len(text)]
    place = source.choice(ends)
    start = place + len(before)
    return text[:place] + before + item + after + text[place:], start, start + len(item)


def rates(texts: list[str], seed: int) -> tuple[dict[str, tuple[int, int, int]], Counter[str], Counter[str]]:
    """Kind -> (planted, found, found as another kind); look-alike -> planted that were hit; kind -> wrong hits."""
    source = random.Random(seed)
    table, fooled, wrong_hits = {}, Counter[str](), Counter[str]()
    for kind, maker in MAKERS.items():
        found = other = 0
        for _ in range(ITEMS):
            text, start, end = planted(source, source.choice(texts), maker(source))
            hits = [span for span in find_private(text) if span.start < end and start < span.end]
            found += any(span.kind == kind and span.start <= start and span.end >= end for span in hits)
            other += all(span.kind != kind for span in hits) and bool(hits)
            wrong_hits.update(span.kind for span in hits if span.kind != kind)
        table[kind] = (ITEMS, found, other)
    for name_, maker in LOOKALIKES.items():
        for _ in range(ITEMS):
            text, start, end = planted(source, source.choice(texts), maker(source))
            hits = [span for span in find_private(text) if span.start < end and start < span.end]
            fooled[name_] += bool(hits)
            wrong_hits.update(span.kind for span in hits)
    return table, fooled, wrong_hits


def main() -> None:
    """The tables."""
    everything = read(Path(sys.argv[1]))
    clean = [text for text in everything if MIN_CHARS <= len(text) <= MAX_CHARS and not find_private(text)]
    table, fooled, wrong_hits = rates(clean, seed=7)
    print("| kind | recall | precision |\n|---|--:|--:|")
    for kind, (count, found, _) in table.items():
        precision = found / max(1, found + wrong_hits[kind])
        print(f"| {kind} | {found / count:.3f} | {precision:.3f} |")
    print("\nlook-alikes taken for private, of", ITEMS, "each:", dict(fooled))
    series = pl.Series(everything)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        rows = mask_private(series)
        seconds.append(time.perf_counter() - start)
    told = rows["private"].explode(empty_as_null=False).value_counts(sort=True, name="places")
    print(
        f"\n{series.len():,} texts, {series.len() / sorted(seconds)[1]:,.0f} a second; found in them:",
        dict(told.iter_rows()),
    )


if __name__ == "__main__":
    main()
