import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.corpus.mojibake import mend_mojibake, suspicious

from .conftest import SENTENCE


def as_western(text: str) -> str:
    """What a program shows that takes UTF-8 for Windows-1252, and the bytes that this leaves open for Latin-1."""
    return "".join(
        bytes([byte]).decode("cp1252", "ignore") or bytes([byte]).decode("latin-1") for byte in text.encode("utf-8")
    )


@pytest.mark.parametrize("text", ["café", "naïve “quotes” – 5 €", SENTENCE])
def test_utf8_read_as_latin1_is_mended_once_and_twice(text: str) -> None:
    for garbled in (text.encode().decode("latin-1"), as_western(text), as_western(as_western(text))):
        assert suspicious(pl.Series([garbled])).all()
        assert mend_mojibake(garbled) == text


@pytest.mark.parametrize("text", ["河水从山谷里流出来，绕过村口", "湖面；傍晚渔船靠岸，岸边的灯"])
def test_utf8_read_as_gbk_is_mended(text: str) -> None:
    garbled = text.encode().decode("gbk")
    assert suspicious(pl.Series([garbled])).all()
    assert mend_mojibake(garbled) == text


@pytest.mark.parametrize("text", ["", "café", "Ã", "5 × 3 = 15", "“引号”——破折号……", SENTENCE, "æ²³ 河", "锛屾"])
def test_sound_and_half_broken_text_stays(text: str) -> None:
    assert mend_mojibake(text) == text


@given(st.text(), st.integers(0, 3))
def test_mending_twice_mends_no_more(text: str, times: int) -> None:
    for _ in range(times):
        text = as_western(text)
    mended = mend_mojibake(text)
    assert mend_mojibake(mended) == mended


@given(st.text("河水从山谷里流出来，绕过村口的老槐树。慢汇入宽阔湖面；傍晚渔船靠岸", min_size=1))
def test_chinese_is_never_touched(text: str) -> None:
    assert mend_mojibake(text) == text
