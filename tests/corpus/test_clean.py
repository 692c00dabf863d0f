import sys

import polars as pl
import pytest

from kun.corpus.clean import TokenCounter, clean
from kun.corpus.ingest import ingest
from kun.corpus.rules import rules
from kun.errors import ConfigError, InputError
from kun.params import Params
from kun.project import Project
from kun.schemas.datasets import DATASETS
from kun.tables.shards import read_dataset, write_dataset

from .conftest import SAMPLE, SENTENCE, changed, count_chars, store, various

COUNT = TokenCounter(count_chars, "characters")


def reason(project: Project, params: Params, text: str, **values: object) -> str:
    """Why `clean` drops the text; "" when it keeps it."""
    store(project, "ingested", [text])
    clean(project, changed(params.clean, **values), COUNT)
    ledger = read_dataset(project.rejects("clean"))
    return "" if ledger.is_empty() else str(ledger["reason"][0])


NAVIGATION = "首页 | 登录 | 注册 | 联系我们\n" + SENTENCE
DIRT = [
    ("河水。", "too_short"),
    ("The river flows out of the valley and slowly runs into the wide and quiet lake.", "language"),
    (
        "参见 apt-get、aptitude-doc-en、unattended-upgrades、dpkg-reconfigure、cron-apt 和 needrestart man 8。",
        "not_chinese",
    ),
    (SENTENCE[:40] + "\ufffd\ufffd" + SENTENCE[40:], "mojibake"),
    (
        "锘挎渤姘翠粠灞辫胺閲屾祦鍑烘潵锛岀粫杩囨潙鍙ｇ殑鑰佹鏍戯紝鎱㈡參姹囧叆瀹介様鐨勬箹闈紱鍌嶆櫄娓旇埞闈犲"
        "哺锛屽哺杈圭殑",
        "mojibake",
    ),
    (
        "零基础学画画，名师一对一，包教包会，名额有限，原价1999元，还在等什么，快来和我们一起画出春夏秋冬的山水"
        "吧，先到先得！",
        "advertising",
    ),
    (SENTENCE + "加老师微信：huahua2024。", "advertising"),
    (NAVIGATION, "navigation"),
    ("见 https://example.com/articles/2024/a.html 和 https://example.com/articles/2024/b.html。" + SENTENCE, "links"),
    (SENTENCE + "联系人电话是13800138000。", "private_data"),
    (SENTENCE + "\n来源：某某网 责任编辑：小编。", "copyright_tail"),
    ("河水……" + "~" * 30 + SENTENCE[:30], "symbols"),
    ("河水1980，湖面2375，山谷3164，渔船4028，风筝5317，老槐树6102，村口7249，岸边8023，傍晚9158。", "digits"),
    ("\n".join(["河水从山谷里流出来。"] * 3 + [SENTENCE]), "duplicate_lines"),
    ("清洗滤网可以让房间里的空气更加清新，家人也住得更舒服。" * 6, "repeated_grams"),
    (
        "河水从山谷里流出来\n绕过村口的老槐树\n汇入宽阔的湖面\n孩子们追着风筝跑远\n岸边的灯一盏接一盏亮起来\n"
        "渔船靠岸了",
        "open_lines",
    ),
    ("".join(various(12)), "too_long"),
]


@pytest.mark.parametrize(("text", "expected"), DIRT, ids=[f"{number}-{name}" for number, (_, name) in enumerate(DIRT)])
def test_dirt_has_its_reason(project: Project, params: Params, text: str, expected: str) -> None:
    assert reason(project, params, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE,
        "園林的地方有限，造園的人便向牆外借風景，這就是借景。明代計成在書裡說，借景是造園最要緊的一件事，"
        "並且分出遠借、鄰借幾種。",
        "如果 a < b，则 a - b 是负数；如果 a > b，则 a - b 是正数；两数相等时差为零，这三种情况有且只有一种成立"
        "，称为三歧性。",
        "添加微信好友时，对方可以设置是否需要验证；朋友圈的可见范围也能单独调整，这些都在隐私设置里，第一次使用"
        "的人不妨逐项看一遍。",
        "停药四年又复发了该怎么办\n问：停药四年，昨天劳累过度又复发，以前的药是不是都白吃了\n答：先去医院复查，确定原因以后再调整用药，平时不要熬夜，也不要自行停药。",
        "办了一张打八折的卡，周二去看的时候才发现原来这天半价，而且可以在网上买票，去现场直接取就好了，比以前一大早排队方便得太多了。",
        "版权所有是什么意思？它表示作品的权利归作者，别人未经许可不得使用。" + SENTENCE * 2,
        "登录和注册是网站最基本的两个功能：注册写入一条新用户，登录核对口令并发放令牌，令牌过期以后需要重新登录"
        "，这样才安全。",
        "# 水煮玉米的做法\n\n玉米带皮煮更香，加一点盐和糖更甜，十五分钟就好。\n\n## 原料\n\n- 玉米\n- 盐\n"
        "- 糖\n\n## 步骤\n\n1. 洗净\n2. 下锅煮熟",
        "统计学中，中位数把数据分成两半：一半比它小，一半比它大。它不受极端值影响，因此报告收入时常用中位数而不"
        "用平均数来代表一般人。",
        "科学家用 grep 命令查找日志：\n\n```shell\ngrep -rn error /var/log --include=app.log | sort | uniq -c |"
        " head -n 20\n```\n\n这条命令先递归查找含有错误的行，再排序、去重并计数，最后显示前二十行。",
    ],
)
def test_good_texts_stay(project: Project, params: Params, text: str) -> None:
    assert reason(project, params, text) == ""


def test_id_stays_and_text_changes(project: Project, params: Params) -> None:
    store(project, "ingested", [f"<p>{SENTENCE}</p>", SENTENCE])
    counts = clean(project, params.clean, COUNT)
    rows = read_dataset(project.dataset("cleaned"))
    assert rows["text"].to_list() == [SENTENCE, SENTENCE]  # dedup's business
    assert rows["id"].to_list() == read_dataset(project.dataset("ingested"))["id"].to_list()
    assert rows["n_chars"].to_list() == rows["n_tokens"].to_list() == [len(SENTENCE)] * 2
    assert counts["tokens"] == 2 * len(SENTENCE)


@pytest.mark.parametrize(("private", "kept"), [("drop", 1), ("mask", 3), ("keep", 3)])
def test_private_data_is_dropped_masked_or_kept_and_counted(
    project: Project, params: Params, private: str, kept: int
) -> None:
    texts = [SENTENCE, SENTENCE + "他的电话是13800138000。", SENTENCE + "电话13800138000，写信到a@kun-made.cn。"]
    store(project, "ingested", texts)
    counts = clean(project, changed(params.clean, private=private), COUNT)
    assert counts["private"] == {"电话": 2, "邮箱": 1}
    rows = read_dataset(project.dataset("cleaned"))["text"].to_list()
    assert len(rows) == kept
    assert any("13800138000" in row for row in rows) == (private == "keep")


def test_masking_keeps_the_text(project: Project, params: Params) -> None:
    assert reason(project, params, SENTENCE + "他的电话是13800138000。", private="mask") == ""
    assert "他的电话是【电话】。" in read_dataset(project.dataset("cleaned"))["text"][0]


def test_tokens_are_counted_for_survivors_only(project: Project, params: Params) -> None:
    asked: list[list[str]] = []
    store(project, "ingested", ["河水。", SENTENCE])
    clean(project, params.clean, TokenCounter(lambda texts: asked.append(texts) or count_chars(texts), "asked"))  # type: ignore[func-returns-value]
    assert asked == [[SENTENCE]]


def test_simplify_without_opencc_says_what_to_do(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("kun.corpus.script.import_module", missing)
    with pytest.raises(ConfigError, match="pip install opencc"):
        reason(project, params, SENTENCE, simplify=True)


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
def test_conservation(project: Project, params: Params, count: int) -> None:
    store(project, "ingested", [text if number % 3 else "河水。" for number, text in enumerate(various(count))])
    counts = clean(project, params.clean, COUNT)
    assert counts["rows_in"] == counts["kept"] + counts["dropped"] == count
    assert counts["reasons"].get("too_short", 0) == (count + 2) // 3


def test_null_breaks_a_rule(params: Params) -> None:
    assert (
        pl.DataFrame({"n_chars": [None]}, schema={"n_chars": pl.Int64})
        .select(rules(params.clean)["too_short"].keep.fill_null(False))
        .item()
        is False
    )


def test_sample_data(project: Project, params: Params) -> None:
    ingest(project, changed(params.ingest, path=str(SAMPLE)))
    counts = clean(
        project, params.clean, TokenCounter(lambda texts: [len(text) * 2 // 3 for text in texts], "two thirds")
    )
    assert counts["reasons"] == {
        "advertising": 4,
        "language": 4,
        "too_short": 4,
        "navigation": 3,
        "links": 2,
        "private_data": 2,
        "too_long": 2,
        "copyright_tail": 1,
        "spam": 1,
        "mojibake": 1,
        "repeated_grams": 1,
        "digits": 1,
    }


@pytest.mark.parametrize(
    "text", [SENTENCE + "联系人电话是13800138000。", "电话是13800138000。", SENTENCE + "咨询电话：13800138000。"]
)
def test_the_ledger_quotes_no_private_data(project: Project, params: Params, text: str) -> None:
    """It is pushed to remotes and quoted in the report, whatever rule dropped the text."""
    assert reason(project, params, text)
    excerpt = read_dataset(project.rejects("clean"))["excerpt"].item()
    assert "【电话】" in excerpt
    assert "13800138000" not in str(read_dataset(project.rejects("clean")).rows())


def test_unsafe_words_come_from_a_file(project: Project, params: Params) -> None:
    words = project.root / "words.txt"
    words.write_text("# names of boats\n渔船\n\nＣ++\n", encoding="utf-8")
    assert reason(project, params, SENTENCE.replace("渔船", "C++"), unsafe_words="words.txt") == "unsafe"
    assert reason(project, params, SENTENCE, unsafe_words="words.txt") == "unsafe"
    assert reason(project, params, SENTENCE) == ""
    with pytest.raises(InputError, match=r"clean\.unsafe_words"):
        reason(project, params, SENTENCE, unsafe_words="missing.txt")


def test_counts_tell_repairs(project: Project, params: Params) -> None:
    foot = "如果发现问题，请在本页下方提出修改建议。"
    store(project, "ingested", [f"<p>{SENTENCE}</p>", *(f"第{n}次。{SENTENCE}\n\n{foot}" for n in range(3))])
    counts = clean(project, changed(params.clean, boilerplate_docs=3), COUNT)
    assert counts["kept"] == 4
    assert counts["repaired"] == {"boilerplate": 3, "mojibake": 0, "markup": 1, "joined": 0, "simplified": 0}
    assert foot not in "".join(read_dataset(project.dataset("cleaned"))["text"])


def test_only_new_shards_are_judged(
    project: Project, params: Params, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*groups: list[str]) -> str:
        frames = []
        for texts in groups:
            store(project, "ingested", texts)
            frames.append(read_dataset(project.dataset("ingested")))
        write_dataset(project.dataset("ingested"), frames, DATASETS["ingested"])
        clean(project, params.clean, COUNT)
        return capsys.readouterr().err

    old, new = various(6), ["新" + text for text in various(4)]
    assert told(old) == ""
    assert "clean: 6 rows are already computed, 4 to do" in told(old, new)
    assert "clean: 10 rows are already computed, 0 to do" in told(new, old)
    monkeypatch.setattr("kun.corpus.clean.code_key", lambda: "changed code")
    assert "clean" not in told(new, old), "new code, new results"


def test_another_recogniser_judges_anew(
    project: Project, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(project.root))
    module = project.root / "my_people.py"
    module.write_text("def find(texts):\n    return [[] for _ in texts]\n", encoding="utf-8")
    with_ner = changed(params.clean, ner="my_people:find")
    store(project, "ingested", various(3))
    clean(project, with_ner, COUNT)
    clean(project, with_ner, COUNT)
    assert "3 rows are already computed" in capsys.readouterr().err
    module.write_text("def find(texts):\n    return [[(0, 1, '人名')] for _ in texts]\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "my_people")
    counts = clean(project, with_ner, COUNT)
    assert counts["private"] == {"人名": 3}


def test_a_project_needs_a_language(params: Params) -> None:
    with pytest.raises(ValueError, match="at least one of zh, en"):
        changed(params.clean, languages=[])
