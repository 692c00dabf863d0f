import re

import polars as pl

from kun.glan.page import coverage_page
from tests.glan.scripted import params

ROWS = pl.DataFrame(
    {
        "id": ["f", "d", "e"],
        "parent_id": ["", "f", "f"],
        "path": ["science", "science/optics", "science/heat"],
        "kind": ["field", "discipline", "discipline"],
        "zh": ["科学<script>alert(1)</script>", '光学" onload="x', "热学"],
        "en": ["Science", "Optics", "Heat"],
        "chosen": [False, True, False],
        "subjects": [2, 2, 0],
        "questions": [5, 5, 0],
        "pairs": [4, 4, 0],
        "thin": [False, True, False],
    }
)


def test_names_are_text_and_nothing_is_fetched() -> None:
    page = coverage_page(ROWS, params())
    assert "<script" not in page and "&lt;script&gt;" in page
    assert 'onload="x' not in page
    assert not re.search(r"https?:|url\(|<link|<img|@import", page)


def test_what_is_thin_and_what_was_not_chosen_is_shown() -> None:
    for lang, thin, idle in (("zh", "<b>偏少</b>", "热学"), ("en", "<b>thin</b>", "Heat")):
        page = coverage_page(ROWS, params(lang=lang))
        assert page.count(thin) == 1
        assert re.search(rf'class="idle">.*{idle}', page)
        assert 'width="240.0"' in page


def test_a_taxonomy_without_pairs_has_a_page() -> None:
    none = ROWS.with_columns(pl.lit(0).alias(name) for name in ("subjects", "questions", "pairs"))
    assert 'width="0.0"' in coverage_page(none, params())
