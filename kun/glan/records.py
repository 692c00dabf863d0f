"""Records that models write: the JSON schema that each is held to, and its parser, which gives reasons for what it refuses."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kun.backtranslate.measures import repeated_unit
from kun.corpus.text import normalise
from kun.engine.records import Refusal, parse_record
from kun.glan.names import same_name
from kun.glan.texts import COUNTED, ENDS, MOST_REPEATS, standing_alone

NAME, LEVEL, TOPIC, QUESTION = 24, 8, 20, 240  # characters; English needs three times as many for the same
PREMISE, ASKED = 60, 110  # characters of a plain question's sentences
TOPICS = 4  # of a subject
_ENGLISH = 3
LEFTOVERS = set('{}"\\')
"""Signs of JSON, which no name has."""
_LETTER = re.compile(r"[^\W\d_]")
_BEGIN = {"zh": "[A-Z]{0,3}[\u4e00-\u9fff]", "en": "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]"}
"""How a plain name begins: 光学 and C语言, optics."""
_NUMBER = re.compile(r"\d{1,4}")


@dataclass(frozen=True)
class Items:
    """The list in a record, item by item."""

    valid: list[dict[str, Any]]
    refused: list[Refusal]


def subjects_schema(most: int, lang: str, plain: bool) -> str:
    """Up to `most` subjects with level and topics; `plain`: as `glan.plain`."""
    return _listed("subjects", _subject(lang, plain), 1, most)


def sessions_schema(most: int, concepts: int, lang: str, plain: bool) -> str:
    """Two sessions or more, with their key concepts; `plain`: as `glan.plain`."""
    return _listed("sessions", _session(concepts, lang, plain), 2, most)


def disciplines_schema(most: int, plain: bool) -> str:
    """Up to `most` disciplines with names in both languages; `plain`: as `glan.plain`."""
    return _listed("disciplines", _discipline(plain), 1, most)


def question_schema(lang: str, plain: bool) -> str:
    """One question, which ends like a sentence: a small model would stop where it likes; `plain`: as `glan.plain`."""
    longest = _wide(QUESTION, lang)
    within = rf"[^{ENDS.replace('.', '')}]" if plain else r"[\s\S]"
    ended = rf"^{within}{{1,{longest - 1}}}[{ENDS}]$"
    if plain and lang == "zh":  # held to one sentence, a model says what is given and never asks
        ended = rf"^({within}{{1,{PREMISE}}}。){{0,2}}({within}{{1,{ASKED}}}？|请{within}{{1,{ASKED}}}。)$"
    return _dumped(_object(question={"type": "string", "pattern": ended}))


def read_subjects(text: str, finish: str, most: int, lang: str) -> Items | Refusal:
    """name, level_raw, level and topics of each subject; a name without a letter is no name."""
    items = _items(text, finish, "subjects", _subject(lang), most)
    if isinstance(items, Refusal):
        return items
    return _with_one(Items([_read_subject(item) for item in items.valid], items.refused))


def read_sessions(text: str, finish: str, most: int, concepts: int, lang: str) -> Items | Refusal:
    """name and concepts of each session; a session, and a concept within one, counts once."""
    items = _items(text, finish, "sessions", _session(concepts, lang), most)
    if isinstance(items, Refusal):
        return items
    valid, refused, seen = [], list(items.refused), set()
    for item in items.valid:
        name, listed = _clean(item["name"]), _once(item["concepts"])
        if same_name(name) in seen:
            refused.append(Refusal("repeated", name))
        elif not listed:
            refused.append(Refusal("no_concepts", name))
        else:
            seen.add(same_name(name))
            valid.append({"name": name, "concepts": listed})
    return _with_one(Items(valid, refused))


def read_disciplines(text: str, finish: str, most: int) -> Items | Refusal:
    """zh and en of each discipline."""
    items = _items(text, finish, "disciplines", _discipline(), most)
    if isinstance(items, Refusal):
        return items
    return Items([{key: _clean(name) for key, name in item.items()} for item in items.valid], items.refused)


def read_question(text: str, finish: str, shortest: int, lang: str) -> str | Refusal:
    """The question in the record."""
    record = parse_record(text, _dumped(_object(question=_text(_wide(QUESTION, lang)))), finish)
    return record if isinstance(record, Refusal) else standing_alone(record["question"], shortest, lang)


def level_number(level: str) -> int | None:
    """100 of "100", "Level 100" and "100级"; None where there is no number, or more than one."""
    numbers = _NUMBER.findall(level)
    return int(numbers[0]) if len(numbers) == 1 else None


def _items(text: str, finish: str, name: str, item: Mapping[str, Any], most: int) -> Items | Refusal:
    """A server may ignore the schema: the list is read item by item, and one that is wrong does not spoil the others."""
    record = parse_record(text, _dumped(_object(**{name: {"type": "array"}})), finish)
    if isinstance(record, Refusal):
        return record
    found = [parse_record(json.dumps(one, ensure_ascii=False), _dumped(item)) for one in record[name]]
    valid = [one for one in found if not isinstance(one, Refusal) and _named(one)]
    refused = [one if isinstance(one, Refusal) else Refusal("no_name", str(one)) for one in found if one not in valid]
    refused += [Refusal("beyond_limit", str(one)) for one in valid[most:]]
    return _with_one(Items(valid[:most], refused))


def _with_one(items: Items) -> Items | Refusal:
    if items.valid:
        return items
    return items.refused[0] if items.refused else Refusal("no_items", "")


def _named(item: Mapping[str, Any]) -> bool:
    return all(_is_name(item[key]) for key in ("name", "zh", "en") if key in item)


def _is_name(text: str) -> bool:
    """Whether it has a letter, none of the signs that are left over from JSON, and does not go round in circles."""
    return bool(_LETTER.search(text)) and not (set(text) & LEFTOVERS or repeated_unit(text, MOST_REPEATS))


def _read_subject(item: Mapping[str, Any]) -> dict[str, Any]:
    level = " ".join(normalise(item["level"]).split())
    topics = _once(item["topics"])
    return {"name": _clean(item["name"]), "level_raw": level, "level": level_number(level), "topics": topics}


def _once(texts: list[str]) -> list[str]:
    """Each text once, in order, without those that are no names."""
    names = [_clean(text) for text in reversed(texts) if _is_name(text)]
    return list({same_name(name): name for name in names}.values())[::-1]


def _clean(text: str) -> str:
    """White space collapsed, without its number in a list."""
    return COUNTED.sub("", " ".join(normalise(text).split()))


def _subject(lang: str, plain: bool = False) -> dict[str, Any]:
    topics = {"type": "array", "items": _name(TOPIC, lang, plain), "minItems": 1, "maxItems": TOPICS}
    return _object(name=_name(NAME, lang, plain), level=_text(_wide(LEVEL, lang)), topics=topics)


def _session(concepts: int, lang: str, plain: bool = False) -> dict[str, Any]:
    name = _name(NAME, lang, plain)
    return _object(name=name, concepts={"type": "array", "items": name, "minItems": 1, "maxItems": concepts})


def _discipline(plain: bool = False) -> dict[str, Any]:
    return _object(zh=_name(NAME, "zh", plain), en=_name(NAME, "en", plain))


def _name(longest: int, lang: str, plain: bool) -> dict[str, Any]:
    longest = _wide(longest, lang)
    return _text(longest) | ({"pattern": f"^{_BEGIN[lang]}.{{0,{longest - 1}}}$"} if plain else {})


def _wide(limit: int, lang: str) -> int:
    return limit * _ENGLISH if lang == "en" else limit


def _listed(name: str, item: Mapping[str, Any], least: int, most: int) -> str:
    return _dumped(_object(**{name: {"type": "array", "items": item, "minItems": least, "maxItems": most}}))


def _object(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _dumped(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False)
