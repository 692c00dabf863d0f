"""The words of the report by page; all have the same keys."""

from kun.report.chinese import CHINESE
from kun.report.english import ENGLISH

Words = dict[str, str]

PAGES: dict[str, Words] = {"index.html": ENGLISH, "index.zh-CN.html": CHINESE}
"""File name of each page -> its words."""


def stage_names(words: Words) -> dict[str, str]:
    """Stage -> its name in this language."""
    return {key.removeprefix("stage_"): word for key, word in words.items() if key.startswith("stage_")}
