import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.tidy import join_wrapped, strip_markup


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
    join_wrapped(strip_markup(text))


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
