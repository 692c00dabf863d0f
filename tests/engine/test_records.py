import pytest

from kun.engine.records import Refusal, parse_record
from kun.errors import ModelError
from tests.engine.schemas import SCHEMAS, closed, short, text_of

SCHEMA = text_of(closed({"题": short(4), "难度": {"enum": ["易", "难"]}}, ["题"]))


@pytest.mark.parametrize(
    "text",
    ['{"题":"水"}', ' {\n "难度": "易", "题": "水"}\n', '```json\n{"题": "水"}\n```', '```\n{"题": "\\u6c34"}```'],
    ids=["compact", "spread", "fenced", "escaped"],
)
def test_a_record(text: str) -> None:
    record = parse_record(text, SCHEMA)
    assert isinstance(record, dict)
    assert record["题"] == "水"


@pytest.mark.parametrize(
    ("text", "reason", "says"),
    [
        ("", "empty", ""),
        (" \n", "empty", ""),
        ("```json\n\n```", "empty", ""),
        ("好的，题目如下：水", "not_json", "Expecting value"),
        ('{"题":"水"', "not_json", "delimiter"),
        ('{"题":"水"} 完', "not_json", "Extra data"),
        ('{"题":NaN}', "not_json", "NaN"),
        ('{"题":"水","题":"火"}', "not_json", "twice"),
        ('{"题":"\\ud83d"}', "not_json", "surrogates"),
        ("[" * 100_000, "not_json", "recursion"),
        ('["水"]', "schema", "an object is wanted, not list"),
        ("{}", "schema", "record: '题' is a required property"),
        ('{"题":"水火水火水"}', "schema", "题: '水火水火水' is too long"),
        ('{"题":"水","难度":"中"}', "schema", "难度: '中' is not one of"),
    ],
)
def test_why_a_text_is_none(text: str, reason: str, says: str) -> None:
    refusal = parse_record(text, SCHEMA)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert says in refusal.detail


def test_what_was_cut_is_no_record_though_it_parses() -> None:
    assert parse_record('{"题":"水"}', SCHEMA, "length") == Refusal("cut", '{"题":"水"}')


def test_a_path_leads_to_the_fault() -> None:
    text = '{"学科":"数学","课时":1,"课程":[{"名称":"代数","要点":[]}]}'
    refusal = parse_record(text, text_of(SCHEMAS["courses"]))
    assert isinstance(refusal, Refusal)
    assert refusal.detail.startswith("课程.0.要点: [] ")


def test_a_reference_elsewhere_is_not_fetched() -> None:
    with pytest.raises(ModelError, match=r"https://example\.org/schema"):
        parse_record('{"题":1}', '{"properties": {"题": {"$ref": "https://example.org/schema"}}}')
