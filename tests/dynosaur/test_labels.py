from typing import Any

import pytest

from kun.dynosaur.labels import listed, output_text, outputs_of
from tests.dynosaur.made_datasets import params


def rows(*values: Any) -> list[dict[str, Any]]:
    return [{"out": value} for value in values]


def kind(*values: Any) -> tuple[str, str]:
    told = outputs_of(rows(*values), "out", params())
    return told.kind, told.reason


def test_few_balanced_outputs_are_labels_in_a_fixed_order() -> None:
    told = outputs_of(rows("是", "否", "是", "否"), "out", params())
    assert told.labels == ("否", "是")
    assert outputs_of(rows("否", "是", "否", "是"), "out", params()) == told, "whatever comes first"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b"] * 5, ("label", "")),
        (["a"] * 7 + ["b"] * 3, ("label", "")),
        (["a"] * 8 + ["b"] * 2, ("label", "imbalanced")),
        (["a"] * 5 + ["b"] * 3 + ["c"] * 2, ("label", "")),
        (["a"] * 6 + ["b"] * 3 + ["c"] * 1, ("label", "imbalanced")),
        (["a"] * 10, ("label", "one_label")),
        ([str(n) for n in range(10)] * 2, ("label", "")),
        ([str(n) for n in range(11)] * 2, ("text", "")),
        (["a", "b", "c"], ("text", "")),  # each once: too few rows to speak of labels
        ([True, False] * 3, ("label", "")),
        ([1, 2] * 3 + [None, ""], ("label", "")),
        ([None, "", " "], ("text", "empty_output_field")),
        (["a", "b"] * 3 + [["nested"]], ("text", "output_not_scalar")),
        (["a"] * 3 + [{"k": 1}], ("text", "output_not_scalar")),
    ],
)
def test_what_outputs_are(values: list[Any], expected: tuple[str, str]) -> None:
    assert kind(*values) == expected


def test_without_rows_nothing_is_known() -> None:
    assert kind() == ("unknown", "")


def test_only_the_first_hundred_rows_are_looked_at() -> None:
    assert kind(*["a", "b"] * 50, ["nested"]) == ("label", "")


def test_long_labels_are_not_listed() -> None:
    assert listed(["a" * 15, "b"], params())
    assert not listed(["a" * 16, "b"], params())
    assert not listed([], params())


def test_scalars_as_text() -> None:
    assert [output_text(value) for value in (" a ", 1, 0, False, None, ["a"])] == ["a", "1", "0", "False", "", ""]
