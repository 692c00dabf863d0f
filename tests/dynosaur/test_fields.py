import pytest
from hypothesis import given
from hypothesis import strategies as st

from kun.dynosaur.fields import fields_of, is_identifier, modality, name_parts, named_labels, sample, shown, usable


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "ID",
        "doc_id",
        "docId",
        "idx",
        "uuid",
        "pair-id",
        "question.id",
        "md5",
        "image_md5",
        "md5sum",
        "编号",
        "IDs",
        "index",
        "__index_level_0__",
    ],
)
def test_identifiers_are_found_by_whole_parts(name: str) -> None:
    assert is_identifier(name)


@pytest.mark.parametrize(
    "name", ["video", "side", "width", "idea", "candidate", "label", "guide", "text", "答案", "validity", "start_index"]
)
def test_other_names_that_hold_the_letters_stay(name: str) -> None:
    assert not is_identifier(name)


def test_parts_of_names() -> None:
    assert name_parts("questionID") == ["question", "id"]
    assert name_parts("HTTPServer_id2") == ["http", "server", "id", "2"]


def test_pictures_and_sound_are_found_anywhere_in_a_name() -> None:
    assert modality(["text", "image_url"]) == "image_url"
    assert modality(["AudioPath"]) == "AudioPath"
    assert modality(["text", "label"]) == ""


@pytest.mark.parametrize("value", ["text", 0, 1.5, False, ["a", "b"], {"a": 1, "b": "c"}])
def test_flat_values_can_be_shown(value: object) -> None:
    assert usable(value)


@pytest.mark.parametrize("value", [None, [], [1], [["a"]], {}, {"a": {"b": 1}}, {"a": None}, b"bytes"])
def test_nulls_and_nested_values_cannot(value: object) -> None:
    assert not usable(value)


def test_fields_are_those_of_the_first_row_that_can_be_used() -> None:
    rows = [{"id": 1, "text": "a", "spans": [{"start": 1}], "note": None}, {"id": 2, "text": "b", "note": "late"}]
    assert fields_of(rows) == ["text", "note"]
    assert fields_of([]) == []


def test_values_are_cut_to_what_a_prompt_has_room_for() -> None:
    assert shown("abcdef", 3) == "abc"
    assert shown(["aa", "bb", "cc"], 12) == ["aa", "bb"]
    assert shown({"a": "x" * 50, "b": 1}, 20) == {"b": 1}
    assert sample([{"a": "xyz", "b": None, "c": 1}] * 3, ["a", "b"], 2, 2) == [{"a": "xy"}] * 2


@given(st.lists(st.text(max_size=9)), st.integers(2, 40))
def test_a_list_never_takes_more_than_its_room(values: list[str], limit: int) -> None:
    import json

    assert len(json.dumps(shown(values, limit), ensure_ascii=False)) <= limit


def test_numbers_of_labels_become_names() -> None:
    row = {"label": 1, "score": 1, "flag": True}
    assert named_labels(row, {"label": ["no", "yes"]}) == {"label": "yes", "score": 1, "flag": True}
    assert named_labels({"label": -1}, {"label": ["no", "yes"]}) == {"label": None}, "not annotated"
    assert named_labels({"label": "yes"}, {"label": ["no", "yes"]}) == {"label": "yes"}
