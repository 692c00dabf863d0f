import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.dynosaur.cards import Card, MalformedCard, class_labels, clean_summary, parse_card, strings

MARKDOWN = """---
license: mit
---
# Birds

![badge](https://example.org/badge.svg)

## Dataset Summary

Counts of **birds** in [two parks](https://example.org/parks), with the `weather`.

- one row a walk

### Languages

English
"""
HTML = """---
license: mit
---
<h1>Birds</h1>
<h2 id="summary">Dataset Summary</h2>

<p>Counts of <strong>birds</strong> in <a href="https://example.org/parks">two parks</a>, with the <code>weather</code>.</p>

<li>one row a walk</li>

<h3>Languages</h3><p>English</p>
"""


def test_markdown_and_html_give_the_same_summary() -> None:
    assert parse_card(MARKDOWN).summary == parse_card(HTML).summary
    assert parse_card(MARKDOWN).summary == "Counts of birds in two parks, with the weather.\n\none row a walk"


@pytest.mark.parametrize(
    "section", ["[More Information Needed]", "<!-- write here -->", "![b](https://example.org/b.svg)", " \n\n"]
)
def test_a_summary_that_says_nothing_is_none(section: str) -> None:
    assert parse_card(f"---\nlicense: mit\n---\n## Dataset Summary\n\n{section}\n\n## Next\nText").summary == ""


def test_other_sections_and_the_description_stand_in() -> None:
    body = "## Dataset Summary\n[More Information Needed]\n## Dataset Description\nWhat birds eat.\n"
    assert parse_card(body).summary == "What birds eat."
    assert parse_card("---\ndescription: 鸟吃什么。\n---\n# 鸟\n").summary == "鸟吃什么。"
    assert parse_card("## 数据集简介\n公园里的鸟。\n## 来源\n无").summary == "公园里的鸟。"


def test_a_card_without_front_matter_is_text_alone() -> None:
    assert parse_card("# Birds\n\n--- a line\n") == Card({}, "")


@pytest.mark.parametrize("front", ["a: [1", "- a\n- b", "just words", "a: *nowhere", "when: 2024-99-99"])
def test_front_matter_that_is_no_mapping_is_refused_in_one_line(front: str) -> None:
    with pytest.raises(MalformedCard, match=r"^[^\n]+$"):
        parse_card(f"---\n{front}\n---\nText")


def test_spans_become_colons_and_unknown_tags_line_breaks() -> None:
    assert clean_summary("<span>Size</span> 3 &amp; more<br/>rows") == "Size: 3 & more\nrows"


def test_addresses_are_left_out_of_the_text() -> None:
    assert clean_summary("数据来自https://example.org/a?b=1。见 (http://example.org).") == "数据来自。见 ."
    assert clean_summary("https://example.org/x") == ""


@given(st.text("<>/ap[]()!*`-#\n 鸟", max_size=60))
def test_cleaning_never_fails_and_leaves_no_run_of_blank_lines(text: str) -> None:
    assert "\n\n\n" not in clean_summary(text)


def test_fields_of_front_matter_may_be_one_or_many() -> None:
    assert strings("mit") == ["mit"]
    assert strings([" mit ", 3, None, "", "cc0-1.0"]) == ["mit", "cc0-1.0"]
    assert strings(None) == []


def test_names_of_labels_are_found_in_either_form() -> None:
    mapped = {"dtype": {"class_label": {"names": {"1": "yes", "0": "no"}}}, "name": "label"}
    listed = {"dtype": {"class_label": {"names": ["a", "b"]}}, "name": "kind"}
    front = {"dataset_info": {"features": [mapped, listed, {"name": "text", "dtype": "string"}, "odd"]}}
    assert class_labels(front) == {"label": ["no", "yes"], "kind": ["a", "b"]}
    several = {"dataset_info": [{"config_name": "x", "features": [mapped]}, {"config_name": "y", "features": [listed]}]}
    assert class_labels(several, "y") == {"kind": ["a", "b"]}
    assert class_labels({"dataset_info": "odd"}) == {}
