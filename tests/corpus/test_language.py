import pytest

from kun.corpus.language import languages

from .conftest import SENTENCE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SENTENCE, "zh"),
        ("園林的地方有限，造園的人便向牆外借風景。", "zh"),
        ("用 apt-get install 命令安装 postfix 软件包，再编辑 /etc/postfix/main.cf 文件。", "zh"),
        ("谷から流れ出た川は村の入り口の古い木を過ぎて、ゆっくりと広い湖に注ぎます。", "ja"),
        ("강물은 골짜기에서 흘러나와 마을 어귀의 늙은 나무를 돌아 넓은 호수로 들어간다.", "ko"),
        ("The river flows out of the valley and slowly runs into the wide and quiet lake.", "en"),
        ("THE RIVER FLOWS OUT OF THE VALLEY AND SLOWLY RUNS INTO THE WIDE AND QUIET LAKE.", "en"),
        ("La rivière sort de la vallée et se jette lentement dans le grand lac tranquille.", "fr"),
        ("Река вытекает из долины и медленно впадает в широкое тихое озеро.", "other"),
        ("12345 !!!", "other"),
        ("", "other"),
    ],
)
def test_language(text: str, expected: str) -> None:
    assert languages([text]).to_list() == [expected]
