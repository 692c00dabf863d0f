from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.clean import cleaned
from kun.corpus.features import features
from kun.corpus.rules import rules
from kun.tables.rules import split_by_rules

from .conftest import PARAMS, SENTENCE, changed, count_chars, various

ANY = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("河水，。|\n`~-1a \0\ufffd")), max_size=80
)
SHARES = [name for name in vars(PARAMS.clean) if name.startswith("max_") and name.endswith("_share")]


def frame(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"{place:032x}" for place in range(len(texts))],
            "text": texts,
            "source": "made",
            "origin": [f"made.txt:{place + 1}" for place in range(len(texts))],
            "title": "",
            "lang": "zh",
            "n_chars": [len(text) for text in texts],
        },
        schema_overrides={"text": pl.String},
    )


def looked_at_all(texts: list[str]) -> pl.DataFrame:
    """What the rules look at, of texts without private data."""
    return features(frame(texts).with_columns(masked="text", unwanted=pl.lit([], dtype=pl.List(pl.String))))


def reasons(texts: list[str], **values: object) -> dict[str, str]:
    """Id -> why it is dropped."""
    done = cleaned(frame(texts), changed(PARAMS.clean, **values), count_chars)
    ledger = done.dropped
    assert done.kept.height + ledger.height == len(texts)
    return dict(ledger.select("id", "reason").iter_rows())


def reason(text: str, **values: object) -> str:
    return reasons([text], **values).get(f"{0:032x}", "")


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY, max_size=6), st.sampled_from([["zh"], ["en"], ["zh", "en"]]))
def test_any_text_is_kept_or_has_a_reason(texts: list[str], languages: list[str]) -> None:
    found = reasons(texts, languages=languages, min_chars=0)
    assert set(found.values()) <= {*rules(changed(PARAMS.clean, languages=languages)), "too_long"}


@settings(max_examples=40, deadline=None)
@given(st.lists(ANY, max_size=6), st.sampled_from(SHARES))
def test_a_wider_limit_drops_no_more(texts: list[str], name: str) -> None:
    """Whatever the threshold, the rule itself keeps all that it kept under a stricter one."""
    looked_at = looked_at_all(texts)
    dropped = []
    for limit in (0.0, 0.1, 0.5, 1.0):
        checks = rules(changed(PARAMS.clean, **{name: limit}))
        rest = rules(changed(PARAMS.clean, **{name: 2.0}))
        own = {key: rule for key, rule in checks.items() if rule.threshold != rest[key].threshold}
        dropped.append(set(split_by_rules(looked_at, own).dropped["id"]))
    assert dropped == sorted(dropped, key=len, reverse=True)
    assert all(later <= earlier for earlier, later in pairwise(dropped))


@settings(max_examples=30, deadline=None)
@given(st.lists(ANY, max_size=4))
def test_the_first_broken_rule_is_named(texts: list[str]) -> None:
    looked_at = looked_at_all(texts)
    checks = rules(PARAMS.clean)
    named = dict(split_by_rules(looked_at, checks).dropped.select("id", "reason").iter_rows())
    for row, key in enumerate(looked_at["id"]):
        kept = looked_at[row].select(
            pl.all_horizontal() if not checks else [rule.keep.alias(n) for n, rule in checks.items()]
        )
        broken = [name for name, keep in kept.row(0, named=True).items() if not keep]
        assert named.get(key) == (broken[0] if broken else None)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.one_of(ANY, st.just(SENTENCE)), max_size=5), st.integers(0, 5))
def test_shards_do_not_matter(texts: list[str], cut: int) -> None:
    whole = frame(texts)

    def kept(part: pl.DataFrame) -> list[str]:
        return cleaned(part, PARAMS.clean, count_chars).kept["id"].to_list()

    assert kept(whole) == kept(whole[:cut]) + kept(whole[cut:])


FENCE = "```python\nimport os\nfor name in os.listdir('.'):\n    print(name)\n    os.remove(name)\n```\n"
TABLE = "| 河 | 长度 |\n|---|---|\n| 长江 | 六千公里 |\n| 黄河 | 五千公里 |\n| 珠江 | 两千公里 |"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FENCE + "以上代码删除文件。", "code"),
        (FENCE + "上面的代码列出目录并逐个删除文件。" + SENTENCE * 2, ""),
        (
            "```shell\n# 列出当前目录下的所有文件和目录\nls\n# 按照修改时间的先后从新到旧排序\nls -t\n```\n"
            + SENTENCE[:20],
            "",
        ),
        (TABLE, "table"),
        (SENTENCE + "\n\n" + TABLE.replace("| 珠江 | 两千公里 |", "").strip() + "\n" + "\n".join(various(4)), ""),
        ("分类目录\n" + "\n".join(f"{place}. 第{place}类用品" for place in range(1, 12)), "list"),
        ("# 做法\n\n" + "\n".join(f"{place}. 把第{place}种材料洗净切好，放在碗里备用。" for place in range(1, 6)), ""),
        (SENTENCE + "（未完待续）", "truncated"),
        (SENTENCE + "……阅读全文", "truncated"),
        ("网站上常见的“阅读全文”按钮把读者带到另一页，" + SENTENCE, ""),
        (
            "百家乐_时时彩_六合彩_老虎机_博彩网_娱乐城_投注网_注册送彩金，欢迎来到本站，这里有最好的服务等着你来体验。",
            "spam",
        ),
        (
            "澳门百家乐在线娱乐平台，老虎机时时彩六合彩特码，注册送彩金，真人荷官等你来，首存即返水，备用网址请收藏。",
            "spam",
        ),
        ("六合彩是香港合法的彩票，每周开奖三次，投注所得一部分拨作慈善。" + SENTENCE, ""),
        ("警方捣毁一个网络赌博团伙，涉案的棋牌平台和博彩网站以返水吸引赌客，主犯已被检察机关批准逮捕。" + SENTENCE, ""),
    ],
)
def test_shapes_and_spam(text: str, expected: str) -> None:
    assert reason(text) == expected


def test_an_open_end_counts_only_when_asked() -> None:
    text = SENTENCE + "岸边的灯一盏接一盏亮起来以后，孩子们"
    assert reason(text) == reason(text, truncated="keep") == ""
    assert reason(text, truncated="open") == "truncated"
    assert reason(SENTENCE, truncated="open") == ""
    assert reason(SENTENCE + "未完待续", truncated="keep") == ""


@pytest.mark.parametrize(("word", "expected"), [("渔船", "unsafe"), ("鲸鱼", ""), ("Ass", ""), ("CLASS", "unsafe")])
def test_unsafe_words(word: str, expected: str) -> None:
    """Words of ASCII letters in any case, and as whole words only."""
    done = cleaned(frame([SENTENCE + "这一页叫做 class 河水。"]), PARAMS.clean, count_chars, [word])
    assert done.dropped["reason"].to_list() == ([expected] if expected else [])


def test_a_remark_may_lack_its_last_stop() -> None:
    remark = "房间很干净，服务也热情，离车站只有十分钟，就是早餐每天都一样，晚上隔音差一点，下次来还会住这家酒店吧，推荐给大家"
    assert reason(remark) == ""
    assert reason(remark * 4) == "open_lines"
