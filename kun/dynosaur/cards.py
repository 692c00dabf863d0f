"""Dataset cards: a README.md with YAML front matter, and the summary in its text."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
HEADINGS = ("dataset summary", "dataset description", "数据集摘要", "数据集简介", "数据集描述")
"""Sections that summarise a dataset, the best first; the third and on are what Chinese cards say."""

MARKDOWN_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
HTML_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1>", re.IGNORECASE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
IMAGE = re.compile(r"\[?!\[[^\]]*\]\([^)]*\)(?:\]\([^)]*\))?")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\([^)]*\)")
URL = re.compile(r"[(<]?(?:https?://|www\.)[A-Za-z0-9.\-_~:/?#\[\]@!$&*+,;=%]+[)>]?")
PLACEHOLDER = re.compile(r"\[(?:more information needed|needs more information|to do|todo)\]", re.IGNORECASE)
MARKS = re.compile(r"(\*\*|__|`+)(?=\S)(.+?)(?<=\S)\1")
INLINE_TAG = re.compile(r"</?(?:p|a|li|code|strong|b|em|i|table|thead|tbody|tr|td|th)\b[^>]*>", re.IGNORECASE)
SPAN_END = re.compile(r"</span\s*>", re.IGNORECASE)
SPAN = re.compile(r"<span\b[^>]*>", re.IGNORECASE)
TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
BULLET = re.compile(r"^[ \t]*[-*+][ \t]+", re.MULTILINE)


class MalformedCard(ValueError):
    """Front matter that is no YAML mapping; says so in one line."""


@dataclass(frozen=True)
class Card:
    """What a card says."""

    front: Mapping[str, Any]
    """Its front matter, {} when it has none."""
    summary: str
    """Cleaned; "" when it says nothing."""


def parse_card(text: str) -> Card:
    """Front matter and summary; MalformedCard when the front matter is no YAML mapping."""
    found = FRONT.match(text)
    front = _front(found[1]) if found else {}
    described = front.get("description")
    body = text[found.end() :] if found else text
    return Card(front, _summary(body) or (clean_summary(described) if isinstance(described, str) else ""))


def clean_summary(text: str) -> str:
    """Without tags, badges, addresses and placeholders; Markdown and HTML of the same text give the same."""
    text = IMAGE.sub("", PLACEHOLDER.sub("", COMMENT.sub("", text)))
    text = URL.sub("", MARKS.sub(r"\2", LINK.sub(r"\1", text)))
    text = SPAN.sub("", SPAN_END.sub(":", INLINE_TAG.sub("", text)))
    text = BULLET.sub("", html.unescape(TAG.sub("\n", text)).replace("\r\n", "\n"))
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def strings(value: object) -> list[str]:
    """The strings of a field of front matter, which may be one, a list, or something else."""
    values = value if isinstance(value, list) else [value]
    return [item.strip() for item in values if isinstance(item, str) and item.strip()]


def class_labels(front: Mapping[str, Any], config: str = "") -> dict[str, list[str]]:
    """Field -> names of its integer labels, from `dataset_info.features` of the configuration."""
    infos = front.get("dataset_info")
    named: dict[str, list[str]] = {}
    for info in infos if isinstance(infos, list) else [infos]:
        if isinstance(info, dict) and (not config or info.get("config_name", config) == config):
            features = info.get("features")
            for feature in features if isinstance(features, list) else []:
                if names := _names(feature):
                    named[str(feature.get("name"))] = names
    return named


def _names(feature: object) -> list[str]:
    """Label names of one feature, [] when it is none: `dtype: {class_label: {names: {'0': no, '1': yes}}}`."""
    dtype = feature.get("dtype") if isinstance(feature, dict) else None
    label = dtype.get("class_label") if isinstance(dtype, dict) else None
    names = label.get("names") if isinstance(label, dict) else None
    if isinstance(names, dict) and all(str(key).isdecimal() for key in names):
        return [str(names[key]) for key in sorted(names, key=int)]
    return [str(name) for name in names] if isinstance(names, list) else []


def _front(text: str) -> dict[str, Any]:
    try:
        front = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise MalformedCard(" ".join(str(error).split())) from None
    if not isinstance(front, dict):
        raise MalformedCard(f"front matter is no mapping but {type(front).__name__}")
    return front


def _summary(body: str) -> str:
    """The first of HEADINGS whose section is not empty once it is cleaned."""
    body = HTML_HEADING.sub(lambda found: f"\n{'#' * int(found[1])} {TAG.sub('', found[2]).strip()}\n", body)
    marks = list(MARKDOWN_HEADING.finditer(body))
    ends = [mark.start() for mark in marks] + [len(body)]
    sections: dict[str, str] = {}
    for mark, end in zip(marks, ends[1:], strict=True):
        sections.setdefault(mark[1].strip().lower(), clean_summary(body[mark.end() : end]))
    return next((sections[name] for name in HEADINGS if sections.get(name)), "")
