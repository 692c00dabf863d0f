"""What a model answers: up to three tasks as one JSON object, and the schema that holds it to that."""

import ast
import json
import warnings
from collections.abc import Sequence
from typing import Any

from kun.engine.records import Refusal

TASKS = ("task1", "task2", "task3")
MAX_INSTRUCTION = 160
"""Characters of an instruction under a schema."""
MAX_NAME = 64
"""Characters of a field name where the schema does not know the fields."""
MAX_INPUTS = 4
PAIRS = {"{": "}", "[": "]"}


def reply_schema(fields: Sequence[str]) -> str:
    """JSON schema of a reply: the output field first, inputs among the others, and then the instruction that fits them.

    Without `fields` any names fit.
    """
    text = {"type": "string", "minLength": 4, "maxLength": MAX_INSTRUCTION}
    if not fields:
        name = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
        task = _task(text, name, name, MAX_INPUTS)
    else:
        others = {field: [other for other in fields if other != field] for field in fields}
        task = {
            "anyOf": [
                _task(text, {"const": field}, {"enum": rest}, min(MAX_INPUTS, len(rest)))
                for field, rest in others.items()
            ]
        }
    properties = {name: {"$ref": "#/$defs/task"} for name in TASKS}
    whole = _object(properties) | {"required": [TASKS[0]], "$defs": {"task": task}}
    return json.dumps(whole, ensure_ascii=False)


def parse_reply(text: str) -> list[Any] | Refusal:
    """The tasks of a reply, as they stand, or why there are none: empty, not_json, no_tasks.

    Reads JSON and Python literals, from the first brace on. A reply that was cut keeps the tasks that are complete.
    """
    start = text.find("{")
    if start < 0:
        return Refusal("empty" if not text.strip() else "not_json", text[:80])
    whole, complete = _extent(text[start:])
    candidate = text[start:][:whole] if whole else text[start:][:complete] + "}" if complete else ""
    record = _literal(candidate)
    if record is None:
        return Refusal("not_json", text[-80:])
    if not isinstance(record, dict) or not record:
        return Refusal("no_tasks", candidate[:80])
    return list(record.values())


def task_fields(task: Any) -> dict[str, Any] | None:
    """instruction, input_fields and output_fields (lists, nothing twice) of one proposed task; None when it is no task."""
    if not isinstance(task, dict) or not isinstance(task.get("instruction"), str):
        return None
    inputs, outputs = _names(task.get("input_fields")), _names(task.get("output_field"))
    if inputs is None or outputs is None:
        return None
    return {"instruction": " ".join(task["instruction"].split()), "input_fields": inputs, "output_fields": outputs}


def _task(text: Any, output: Any, inputs: Any, most: int) -> dict[str, Any]:
    listed = {"type": "array", "items": inputs, "minItems": 1, "maxItems": most}
    properties = {"output_field": output, "input_fields": listed, "instruction": text}
    return _object(properties) | {"required": list(properties)}


def _object(properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _extent(text: str) -> tuple[int, int]:
    """Length of the first balanced object (0: it never ends), and up to the last task that is complete in it (0: none)."""
    quote, escaped, complete = "", False, 0
    expected: list[str] = []
    for place, character in enumerate(text, 1):
        if quote:
            quote = quote if escaped or character != quote else ""
            escaped = character == "\\" and not escaped
        elif character in "\"'":
            quote = character
        elif character in PAIRS:
            expected.append(PAIRS[character])
        elif expected and character == expected[-1]:
            expected.pop()
            if not expected:
                return place, complete
            complete = place if len(expected) == 1 and character == "}" else complete
    return 0, complete


def _literal(text: str) -> Any:
    """The value of JSON or of a Python literal, None for anything else; `literal_eval` runs no code."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            with warnings.catch_warnings(action="ignore"):  # about escapes that Python does not know
                value = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return None
    return value


def _names(value: Any) -> list[str] | None:
    """Field names from a string or a list of strings, each once; None for anything else."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(name, str) for name in values):
        return None
    return list(dict.fromkeys(name for name in values if name))
