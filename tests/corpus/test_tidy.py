import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.tidy import join_wrapped, mask_private, strip_markup


@pytest.mark.parametrize(
    "text",
    [
        "如果 a < b，则 a - b < 0，反之 a > b。",
        "若a<b 且 c>d，则结论成立；i<j 而 p>q 也行。",
        "声明 vector<int> v; 再写 #include <map>，然后 map<string, int> m。",
        "AT&T 和 R&D 都是缩写，&unknown; 不是实体，a&&b 是逻辑与。",
        "用 `<br>` 换行，用 `&nbsp;` 表示空格。",
        "```html\n<p>代码</p>\n```",
        "数组 a[i] 和 b[i][j] 的下标，以及注释[1]。",
        "<小王子>是一本书，<-- 箭头，1 <2> 3。",
    ],
)
def test_what_only_looks_like_markup_survives(text: str) -> None:
    assert strip_markup(text) == text


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("<p class='a'>河<b>水</b></p>", "\n河水\n"),
        ("河<br/>水<BR>湖", "河\n水\n湖"),
        ("<!-- 注 --><script>var a = 1;</script>河<style>p {}</style>", "河"),
        ("&ldquo;河&rdquo; &lt;水&gt; &#27827;&#x6cb3;", "“河” <水> 河河"),
        ('<span style="display:none">隐</span>河', "河"),
        ('<div class="nav"><a href="/">首页</a></div>河', "河"),
        ("河[img]http://a.example/b.png[/img][b]水[/b]", "河水"),
        ("河，&nbsp;&nbsp;水", "河，水"),
        ("<p>一</p>\n  <p>二</p>", "\n一\n\n二\n"),
    ],
)
def test_markup_goes(marked: str, plain: str) -> None:
    assert strip_markup(marked) == plain


@given(st.text("河水，。 \n<>ab/&;[]`|-1"))
def test_repairs_never_fail(text: str) -> None:
    mask_private(join_wrapped(strip_markup(text)))


def test_wrapped_lines_are_joined() -> None:
    wrapped = (
        "台风是发生在西北太平洋和南海的强烈热带气\n旋，在大西洋则称为飓风，形成需要几个条件\n：海面水温要高，"
        "还要有足够的地转偏向力。"
    )
    assert join_wrapped(wrapped) == wrapped.replace("\n", "")
    indented = (
        "    这些文件和目录可以分散在多个设备中，用 mount\n    command 把某个设备上找到的文件系统附着到一棵巨大\n"
        "    的文件树上。"
    )
    assert join_wrapped(indented.strip()) == (
        "这些文件和目录可以分散在多个设备中，用 mount command 把某个设备上找到的文件系统附着到一棵巨大的文件树上。"
    )


@pytest.mark.parametrize(
    "text",
    [
        "白日依山尽，\n黄河入海流。\n欲穷千里目，\n更上一层楼。",
        "首页\n登录\n注册\n联系我们",
        "第一段说的是河水从山谷里流出来。\n第二段说的是湖面上的渔船靠了岸。\n第三段说的是孩子们追着风筝跑。",
        "- 把土豆洗净去皮，切成一厘米见方的小块\n- 锅里放油，烧到七成热时放入葱姜蒜爆香\n- 倒入土豆翻炒，"
        "加水没过，盖上锅盖焖煮",
        "def f(a):\n    return a + 1\n\nprint(f(2))",
    ],
)
def test_meant_line_breaks_stay(text: str) -> None:
    assert join_wrapped(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("电话13800138000。", "电话【电话】。"),
        ("拨138-0000-0000或+86 139 1234 5678", "拨【电话】或【电话】"),
        ("请打010-62345678、（0951）2061889", "请打【电话】、【电话】"),
        ("写信到 a.b+c@mail.example.com。", "写信到 【邮箱】。"),
        ("身份证号110101190001010006", "身份证号【身份证号】"),
        ("卡号6222 0212 3456 7890 128", "卡号【银行卡号】"),
        ("QQ：12345678，微信号: abc_12345", "QQ：【账号】，微信号: 【账号】"),
        ("加微信wx_example_0000", "加微信【账号】"),
        ("车牌号为京A12345，另一辆是沪AD12345、粤B·1234学", "车牌号为【车牌号】，另一辆是【车牌号】、【车牌号】"),
        ("来自114.215.6.45的访问", "来自【IP地址】的访问"),
    ],
)
def test_private_data_is_masked(text: str, masked: str) -> None:
    found, kinds = mask_private(text)
    assert found == masked
    assert kinds


@pytest.mark.parametrize(
    "text",
    [
        "圆周率是3.14159265358979323846，约等于22/7。",
        "0.1 加 0.2 得到 0.30000000000000004。",
        "1949年10月1日，2008-08-08，10:30至11:30。",
        "身份证号110101190001010007校验不对。",
        "编号6222021234567890123过不了校验。",
        "微信 Windows 版和 QQ 音乐都更新到了 8.0.1 版。",
        "光速是299792458米每秒，人口1412120000人。",
        "版本号 20240315，坐标116.397128,39.916527。",
        "用 @decorator 修饰函数。",
        "川A计划和京B座没有数字，云A1也不是。",
        "服务器监听127.0.0.1，网关是192.168.1.1，版本4.7.2.1和v8.8.8.8，还有300.11.1.1；4.1.3.1版本，齿式3.1.4.2。",
    ],
)
def test_ordinary_numbers_are_not_private(text: str) -> None:
    assert mask_private(text) == (text, [])
