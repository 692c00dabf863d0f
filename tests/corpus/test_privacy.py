import re
import sys
from types import ModuleType

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.config import load_params
from kun.corpus.privacy import action_for, find_private, load_recogniser, mask_private, masked
from kun.corpus.private_forms import FORMS, luhn
from kun.errors import ConfigError
from kun.params import PRIVATE_KINDS, Clean

from .conftest import PARAMS, REPOSITORY, changed


def mask(text: str, actions: str = "mask", ner: str = "") -> tuple[str, list[str]]:
    """One text through the column."""
    row = mask_private(pl.Series([text]), actions, ner).row(0, named=True)
    return row["masked"], row["private"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("电话13800138000。", "电话【电话】。"),
        ("拨138-0000-0000或+86 139 1234 5678", "拨【电话】或【电话】"),
        ("手机1 3 8 0 0 1 3 8 0 0 0，或一三八零零一三八零零零", "手机【电话】，或【电话】"),
        ("①③⑧⓪⓪①③⑧⓪⓪⓪找我", "【电话】找我"),
        ("请打010-62345678、（0951）2061889", "请打【电话】、【电话】"),
        ("电话：01062345678转123，座机：62345678", "电话：【电话】，座机：【电话】"),
        ("打给+1 415-555-2671、+852 2345 6789", "打给【电话】、【电话】"),
        ("客服热线4008205555，或400-820-5555", "客服热线【热线】，或【热线】"),
        ("写信到 a.b+c@mail.kun-made.cn。", "写信到 【邮箱】。"),
        ("写信到 zhang(at)kun-made.cn，或12345678#qq.com", "写信到 【邮箱】，或【邮箱】"),
        ("身份证号110101190001010006", "身份证号【身份证号】"),
        (
            "身份证 110101 19900307 7635，旧的身份证号码：110101900307763",
            "身份证 【身份证号】，旧的身份证号码：【身份证号】",
        ),
        ("护照号：E12345678，护照号码 EA1234567", "护照号：【护照号】，护照号码 【护照号】"),
        ("卡号6222 0212 3456 7890 128", "卡号【银行卡号】"),
        ("QQ：12345678，微信号: abc_12345", "QQ：【账号】，微信号: 【账号】"),
        ("加微信wx_example_0000，v❤：zhang_san", "加微信【账号】，v❤：【账号】"),
        ("车牌号为京A12345，另一辆是沪AD12345、粤B·1234学", "车牌号为【车牌号】，另一辆是【车牌号】、【车牌号】"),
        ("来自114.215.6.45和2408:8000:1010:1::8的访问", "来自【IP地址】和【IP地址】的访问"),
        ("家住浙江省杭州市西湖区文三路478号华星大厦301室。", "家住【地址】。"),
        ("寄到文三路478号3栋2单元501，收到", "寄到【地址】，收到"),
        ("他住在南岗区通达街153号的楼里", "他住在【地址】的楼里"),
        ("住幸福小区3栋2单元501室", "住【地址】"),
    ],
)
def test_private_data_is_masked(text: str, expected: str) -> None:
    assert mask(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "圆周率是3.14159265358979323846，约等于22/7。",
        "0.1 加 0.2 得到 0.30000000000000004。",
        "1949年10月1日，2008-08-08，10:30至11:30。",
        "身份证号110101190001010007校验不对，110101190013010006没有这一天，990101190001010003没有这个地区。",
        "编号6222021234567890123过不了校验。",
        "微信 Windows 版和 QQ 音乐都更新到了 8.0.1 版，微信20240115版。",
        "光速是299792458米每秒，人口1412120000人，营收13800138000元。",
        "版本号 20240315，坐标116.397128,39.916527。",
        "订单号13912345678，运单编号：13912345678。",
        "排列1 3 5 7 9 2 4 6 8 0 1，400 500 6000。",
        "用 @decorator 修饰函数，git@host.com:a/b，ssh user@host.com，写给a@example.com、mate@mail.example.org。",
        "川A计划和京B座没有数字，云A1也不是。",
        "服务器监听127.0.0.1，网关是192.168.1.1，版本4.7.2.1和v8.8.8.8，还有300.11.1.1；4.1.3.1版本，齿式3.1.4.2。",
        "fe80::1和2001:db8::1，a::b，比分2:1。",
        "沿中山路走到长安街，再到人民广场3号线，南京路100号。",
        "博物馆位于北京市西城区西直门外大街142号，1958年建成。",
        "护照E字头，ISBN 9787302511854，统一社会信用代码91330106MA27XXXX0K。",
    ],
)
def test_ordinary_text_is_not_private(text: str) -> None:
    assert mask(text) == (text, [])


def test_every_kind_has_a_form() -> None:
    assert list(dict.fromkeys(form.kind for form in FORMS)) == list(PRIVATE_KINDS)


def test_the_column_gives_what_each_text_gives() -> None:
    texts = ["电话13800138000", "", "没有什么", "QQ：12345678，电话13800138000"]
    found = mask_private(pl.Series(texts), "mask")
    assert found["masked"].to_list() == [masked(text, find_private(text)) for text in texts]
    assert found["private"].to_list() == [["电话"], [], [], ["账号", "电话"]]
    assert mask_private(pl.Series([], dtype=pl.String)).is_empty()


def test_each_kind_has_its_action() -> None:
    texts = pl.Series(["电话13800138000，来自114.215.6.45，QQ：12345678"])
    row = mask_private(texts, {"电话": "mask", "IP地址": "keep", "default": "drop"}).row(0, named=True)
    assert row["text"] == "电话【电话】，来自114.215.6.45，QQ：12345678"
    assert row["masked"] == "电话【电话】，来自【IP地址】，QQ：【账号】"
    assert (row["private"], row["unwanted"]) == (["电话", "IP地址", "账号"], ["账号"])
    assert [action_for("电话", {"IP地址": "keep"}), action_for("电话", "keep")] == ["drop", "keep"]


def test_a_kind_that_nothing_finds_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown kind `手机`; known kinds: default, 邮箱"):
        changed(PARAMS.clean, private={"手机": "mask"})
    assert changed(PARAMS.clean, private={"人名": "mask"}, ner="made_ner:names").private == {"人名": "mask"}


def test_an_action_by_kind_can_stand_in_the_file(tmp_path: pytest.TempPathFactory) -> None:
    text = (REPOSITORY / "params.yaml").read_text(encoding="utf-8")
    path = tmp_path / "params.yaml"  # type: ignore[operator]
    path.write_text(re.sub("private: drop ", "private: {default: drop, IP地址: keep} ", text), encoding="utf-8")
    clean: Clean = load_params(path).clean
    assert clean.private == {"default": "drop", "IP地址": "keep"}
    path.write_text(re.sub("private: drop ", "private: {IP地址: kep} ", text), encoding="utf-8")
    with pytest.raises(ConfigError, match="did you mean `keep`"):
        load_params(path)


# A recogniser of the user's own


def names(texts: list[str]) -> list[list[tuple[int, int, str]]]:
    """Every 张三 is a name."""
    return [[(found.start(), found.end(), "人名") for found in re.finditer("张三", text)] for text in texts]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("made_ner")
    module.names = names  # type: ignore[attr-defined]
    module.short = lambda texts: []  # type: ignore[attr-defined]
    module.outside = lambda texts: [[(0, 99, "人名")] for _ in texts]  # type: ignore[attr-defined]
    module.odd = lambda texts: [[(0, 1, "人【")] for _ in texts]  # type: ignore[attr-defined]
    module.number = 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_ner", module)
    return module


@pytest.mark.usefixtures("installed")
def test_a_recogniser_adds_its_kinds() -> None:
    assert mask("张三的电话是13800138000", ner="made_ner:names") == ("【人名】的电话是【电话】", ["人名", "电话"])
    texts = pl.Series([f"第{number}个是张三" for number in range(600)])
    assert mask_private(texts, "mask", "made_ner:names")["private"].to_list() == [["人名"]] * 600


def test_where_patterns_and_recogniser_meet_the_pattern_counts(installed: ModuleType) -> None:
    installed.wide = lambda texts: [[(0, len(text), "机构名")] for text in texts]  # type: ignore[attr-defined]
    assert mask("电话13800138000", ner="made_ner:wide") == ("电话【电话】", ["电话"])


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module:f", "is not an installed package.module:function"),
        ("made_ner:nothing", "is not an installed package.module:function"),
        ("made_ner:number", "is no function"),
        ("made_ner:short", "1 texts went in, 0 lists of spans came back"),
        ("made_ner:outside", r"\(0, 99, '人名'\) is no \(start, end, kind\) of a text of 2 characters"),
        ("made_ner:odd", r"\(0, 1, '人【'\) is no"),
    ],
)
def test_a_recogniser_that_cannot_be_used_is_an_error(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"clean.ner: .*{message}"):
        mask("河水", ner=path)


def test_the_path_of_a_recogniser_has_a_form() -> None:
    with pytest.raises(ValueError, match=r"'made_ner\.names' is not of the form package\.module:function"):
        changed(PARAMS.clean, ner="made_ner.names")
    assert load_recogniser("re:sub") is re.sub


# Properties

ALPHABET = "0123456789138-.:+@ #()（）［QQqv微信加号路区市室栋护照E京A电话：，。河水【】"
RUN = st.text(ALPHABET, max_size=60)


@given(st.lists(st.text() | RUN, max_size=5))
def test_no_text_breaks_it_and_the_column_misses_nothing(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    done = mask_private(pl.Series(texts, dtype=pl.String))["masked"].to_list()
    assert done == [masked(text, find_private(text)) for text in texts]


@given(RUN)
def test_masking_is_idempotent(text: str) -> None:
    once = masked(text, find_private(text))
    assert masked(once, find_private(once)) == once


@given(RUN)
def test_text_outside_the_places_is_unchanged(text: str) -> None:
    spans = find_private(text)
    rest, end = "", 0
    for span in spans:
        assert end <= span.start < span.end, "in order and apart"
        rest += text[end : span.start]
        end = span.end
    assert "".join(re.split(f"【(?:{'|'.join(PRIVATE_KINDS)})】", masked(text, spans))) == re.sub(
        f"【(?:{'|'.join(PRIVATE_KINDS)})】", "", rest + text[end:]
    )


@st.composite
def items(draw: st.DrawFn) -> str:
    """A valid item that needs no word in front of it."""

    def digits(count: int) -> str:
        return draw(st.text("0123456789", min_size=count, max_size=count))

    card = "622202" + digits(12)
    card += next(digit for digit in "0123456789" if luhn(card + digit))
    head = f"110101{draw(st.integers(1930, 2010))}{draw(st.integers(1, 12)):02}{draw(st.integers(1, 28)):02}{digits(3)}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    identity = head + "10X98765432"[sum(int(a) * b for a, b in zip(head, weights, strict=True)) % 11]
    mobile = f"1{draw(st.sampled_from('3456789'))}{digits(9)}"
    name = draw(st.from_regex(r"[a-z][a-z0-9]{2,9}", fullmatch=True))
    return draw(
        st.sampled_from([card, identity, mobile, f"x{name}@kun-made.cn", "010-6" + digits(7), "京A1234" + digits(1)])
    )


@given(items(), st.text("河水从山谷里流出来，。！\n", max_size=9), st.text("河水从山谷里流出来，。！\n", max_size=9))
def test_a_valid_item_is_found_in_any_chinese_context(item: str, before: str, after: str) -> None:
    done, kinds = mask(before + item + after)
    assert item not in done
    assert len(kinds) == 1
