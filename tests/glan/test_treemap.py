"""Tiles: what fits into them, how large they are, and that their letters can be read."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.glan.treemap import WIDTHS, fitted, treemaps, wrapped
from kun.report.draw import COLOURS
from kun.terminal import display_width
from tests.glan.test_page import ROWS, whole_taxonomy

NAMES = st.text(st.sampled_from("光学热量子力 abcdefgh-"), max_size=40).map(lambda text: " ".join(text.split()))


@given(NAMES, st.integers(2, 30))
def test_lines_fit_and_lose_nothing_but_spaces(name: str, columns: int) -> None:
    lines = wrapped(name, columns)
    assert all(display_width(line) <= columns or " " not in line for line in lines), "but for words that are longer"
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")


@given(NAMES.filter(bool), st.integers(0, 30), st.integers(0, 6))
def test_what_is_written_fits_its_tile(name: str, columns: int, lines: int) -> None:
    shown = fitted(name, "1,200", columns, lines)
    assert len(shown) <= lines
    assert all(display_width(line) <= columns for line in shown)
    told = "".join(shown).removesuffix("1,200").removesuffix("…").replace(" ", "")
    assert name.replace(" ", "").startswith(told)


def test_names_break_between_words_and_their_numbers_go_first() -> None:
    assert fitted("Organic chemistry", "90", 10, 3) == ["Organic", "chemistry", "90"]
    assert fitted("Organic chemistry", "90", 10, 2) == ["Organic", "chemistry"]
    assert fitted("Organic chemistry", "90", 10, 1) == ["Organic…"]
    assert fitted("有机化学", "90", 5, 3) == ["有机", "化学", "90"]
    assert fitted("有机化学", "90", 5, 1) == ["有机…"]
    assert fitted("有机化学", "90", 3, 3) == [], "not a single character with an ellipsis"
    assert fitted("Food safety", "90", 5, 3) == ["Food", "safe…"], "no word is broken"
    assert fitted("Retailing", "90", 5, 3) == ["Reta…"]


def tiles(drawn: str) -> list[tuple[str, float, str]]:
    """Tip, area and colour of each tile."""
    found = []
    for path in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}path"):
        title = path.find("{http://www.w3.org/2000/svg}title")
        size = re.fullmatch(r"M[\d.]+,[\d.]+h([\d.]+)v([\d.]+)h-[\d.]+Z", path.get("d") or "")
        if title is not None and size:
            found.append((title.text or "", float(size[1]) * float(size[2]), path.get("class") or ""))
    return found


@pytest.mark.parametrize("kind", WIDTHS)
def test_a_tile_for_each_discipline_as_large_as_its_pairs(kind: str) -> None:
    table = whole_taxonomy()
    drawn = treemaps(table, "en", "Coverage", "pairs")[kind]
    found = tiles(drawn)
    chosen = table.filter("chosen")
    assert sorted(tip for tip, _, _ in found) == sorted(
        f"{row['en']}: {row['pairs']} pairs" for row in chosen.iter_rows(named=True)
    )
    assert sum("fill-thin" in colour and "stroke-mark" in colour for _, _, colour in found) == chosen["thin"].sum() > 0
    large = [area for tip, area, _ in found if tip.endswith(": 420 pairs")]
    small = [area for tip, area, _ in found if tip.endswith((": 0 pairs", ": 12 pairs"))]
    assert min(large) > 4 * max(small) and min(small) > 60, "what has no pairs is seen, too"


def test_equal_tables_give_equal_bytes() -> None:
    first = treemaps(ROWS, "zh", "x", "对")
    assert treemaps(ROWS, "zh", "x", "对") == first
    assert "<script" not in first["wide"] and "clip" not in first["wide"]


@pytest.mark.parametrize("side", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("tile", ["pale", "thin"])
def test_letters_stand_out_on_their_tile(tile: str, side: int) -> None:
    """WCAG AA."""

    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))

    dark, bright = sorted(light(COLOURS[name][side]) for name in ("ink", tile))
    assert (bright + 0.05) / (dark + 0.05) >= 4.5
