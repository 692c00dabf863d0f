import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kun.corpus.letters import bare
from kun.corpus.repeats import GRAM, top_gram_shares

from .conftest import SENTENCE


def plainly(prose: str) -> float:
    """The same, unit by unit."""
    units = tuple(re.findall(r"[A-Za-z0-9]+|[^A-Za-z0-9]", prose))
    letters = [unit if unit.isascii() and unit.isalnum() else bare(unit) for unit in units]
    letters = [letter for letter in letters if letter]

    def times(size: int) -> dict[tuple[str, ...], int]:
        counts: dict[tuple[str, ...], int] = {}
        for start in range(len(letters) - size + 1):
            run = tuple(letters[start : start + size])
            counts[run] = counts.get(run, 0) + 1
        return counts

    if max(times(2 * GRAM).values(), default=0) < 2:
        return 0.0
    counts = times(GRAM)
    top = max(counts, key=lambda run: counts[run])
    found, start = 0, 0
    while start <= len(letters) - GRAM:
        hit = tuple(letters[start : start + GRAM]) == top
        found, start = found + hit, start + (GRAM if hit else 1)
    return found * GRAM / len(letters) if found >= 3 else 0.0


@settings(max_examples=100)
@given(
    st.lists(
        st.builds(
            lambda part, times, tail: part * times + tail,
            st.text("河水ab, É", max_size=24),
            st.integers(0, 5),
            st.text(),
        )
    )
)
def test_shares_are_those_of_a_plain_count(proses: list[str]) -> None:
    assert top_gram_shares(proses).tolist() == [plainly(prose) for prose in proses]


def test_long_names_are_no_repetition() -> None:
    name = "中华人民共和国国家发展和改革委员会"
    texts = [f"{name}在北京。{name}发布公告，{SENTENCE}{name}另行通知。", "", "河"]
    assert top_gram_shares(texts).tolist() == [0.0, 0.0, 0.0]
    assert top_gram_shares(["uncompress 命令与 uncompress 工具，还有 uncompress 选项。"]).tolist() == [0.0]


def test_a_text_does_not_repeat_its_neighbour() -> None:
    assert top_gram_shares([SENTENCE] * 9).tolist() == [0.0] * 9
    assert top_gram_shares([SENTENCE * 9])[0] == pytest.approx(9 * GRAM / (9 * len(bare(SENTENCE))))
