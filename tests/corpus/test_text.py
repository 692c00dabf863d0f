import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.text import (
    KEPT_PUNCTUATION,
    by_source,
    cjk_share,
    normalise,
    shingles,
    text_id,
    unit_hash,
)

CHINESE = "".join(chr(code) for code in range(0x4E00, 0x4F00)) + "，。！？；：（）“”‘’、…—《》【】～"
AWKWARD = CHINESE + "ＡｂＣ１２　 \u200b\ufeff\r\n\t\x00\x0b\u2028é\u0301ｶﾞﾞ⼀豈①²½\U0001f600\ufe0f\ud800"


@given(st.one_of(st.text(), st.text(AWKWARD)))
def test_normalise_is_idempotent(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    once.encode()  # whatever went in, UTF-8 can hold what comes out


@given(st.text(CHINESE))
def test_normalise_keeps_chinese(text: str) -> None:
    assert normalise(text) == text


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("ＡＢＣ１２３％＋", "ABC123%+"),
        (KEPT_PUNCTUATION, KEPT_PUNCTUATION),
        ("10²+①½㎡…", "10²+①½㎡…"),
        ("一\u200b二\ufeff三\x07四\u00ad", "一二三四"),
        ("一  \r\n二\t\r三\u2028四", "一\n二\n三\n四"),
        ("一\n\n\n\n二\n\n\n三", "一\n\n二\n\n\n三"),
        ("豈⼀", "豈一"),
        ("a\ud800b", "a\ufffdb"),
        ("\u3000 \u200b", ""),
        ("3．14", "3.14"),
        ("ｶﾞ", "ガ"),
    ],
)
def test_normalise_table(raw: str, normal: str) -> None:
    assert normalise(raw) == normal


def test_id_is_128_bits_and_fixed() -> None:
    assert text_id("河") == text_id("河") != text_id("湖")
    assert len(text_id("")) == 32


@given(st.text(), st.integers())
def test_unit_hash_is_in_range(key: str, seed: int) -> None:
    assert 0 <= unit_hash(seed, key.encode("utf-8", "replace")) < 1


def test_shingles_of_short_texts_are_empty() -> None:
    assert shingles("江河湖", 2) == {"江河", "河湖"}
    assert shingles("江", 2) == shingles("", 2) == set()


def test_share_of_ideographs_among_letters() -> None:
    frame = pl.DataFrame({"text": ["河水流过山谷。", "1984", "用Py"]}).select(cjk_share(pl.col("text")))
    assert frame.to_series().to_list() == [1.0, 0.0, pytest.approx(1 / 3)]


def test_values_go_by_source_then_folder() -> None:
    frame = pl.DataFrame({"source": ["wiki", "wiki/tea", "wiki/rice", "blog", "blog/wiki"]})

    def found(values: dict[str, object]) -> list[str]:
        return frame.select(by_source(values, "unknown", pl.String)).to_series().to_list()

    assert found({"wiki": "CC-BY", "wiki/tea": "CC0"}) == ["CC-BY", "CC0", "CC-BY", "unknown", "unknown"]
    assert found({}) == ["unknown"] * 5


def test_bullets_of_word_are_bullets() -> None:
    assert normalise("\uf06c河\uf0b7水") == "•河•水"
    assert normalise("\ue000") == "\ue000"
