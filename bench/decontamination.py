# ruff: noqa: E501 - one line for each kind of leak
"""Leaks of evaluation items: recall by the way they were changed, wrong hits, and texts a second.

`python bench/decontamination.py FOLDER` takes sentences of some texts of FOLDER (.jsonl, field `text`) as evaluation items, lays
those texts aside, and plants each item in another text: whole, half, with other punctuation and width, with 1 or 2 characters
edited, short ones (8 to 12 letters), multiple choice behind a short question, and in traditional script (if opencc is installed).
An item is found when it is the one named. What is found in the texts without leaks is counted, and ten of it are printed to be read.
"""

import csv
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from corpus import edited, read, widened

from kun.config import load_params
from kun.corpus.evals import EvalGrams, load_evals
from kun.corpus.letters import bare, bare_all

ITEMS = 300  # of each kind
MIN_LETTERS, MAX_LETTERS = 26, 80
QUESTIONS = ("下列说法正确的是____", "以下叙述错误的是", "下列选项中不属于的是", "哪一项是对的")
CHOICE_LETTERS = (3, 12)
PUNCTUATION = "，。、；：！？ ,.!?—…"

Changer = Callable[[random.Random, str], str]


def punctuated(source: random.Random, text: str) -> str:
    """Its punctuation gone, other set between letters, half of the ASCII in full width."""
    letters = [letter for letter in text if letter.isalnum()]
    return widened(
        source, "".join(letter + (source.choice(PUNCTUATION) if source.random() < 0.2 else "") for letter in letters)
    )


def half(source: random.Random, text: str) -> str:
    return text[: len(text) // 2] if source.random() < 0.5 else text[len(text) // 2 :]


def changed(source: random.Random, text: str, edits: int) -> str:
    return edited(source, text, edits / len(text))


CHANGERS: dict[str, Changer] = {
    "whole": lambda source, text: text,
    "half": half,
    "punctuation, width": punctuated,
    "1 character edited": lambda source, text: changed(source, text, 1),
    "2 characters edited": lambda source, text: changed(source, text, 2),
}


def sentences(texts: list[str], least: int, most: int) -> list[str]:
    """Sentences with so many letters, one of a text."""
    found = []
    for text in texts:
        fitting = [part for part in re.findall(r"[^。！？\n]+[。！？]", text) if least <= len(bare(part)) <= most]
        found += fitting[:1]
    return found


def choice_items(source: random.Random, texts: list[str]) -> list[dict[str, str]]:
    """Questions that stand in many texts, with four parts of sentences as choices."""
    parts = [
        part
        for text in texts
        for part in re.split(r"[，。！？\n]", text)
        if CHOICE_LETTERS[0] <= len(bare(part)) <= CHOICE_LETTERS[1]
    ]
    return [
        {"question": source.choice(QUESTIONS)} | dict(zip("ABCD", source.sample(parts, 4), strict=True))
        for _ in range(ITEMS)
    ]


def planted(source: random.Random, text: str, leak: str) -> str:
    """`text` with the leak behind one of its sentences."""
    ends = [found.end() for found in re.finditer(r"[。！？\n]", text)] or [len(text)]
    place = source.choice(ends)
    return text[:place] + leak + text[place:]


def written(folder: Path, items: dict[str, list[str]], choices: list[dict[str, str]]) -> None:
    """The evaluation sets as files, one for each kind."""
    for kind, texts in items.items():
        rows = [{"id": str(number), "question": text} for number, text in enumerate(texts)]
        _csv(folder / f"{kind}.csv", rows)
    _csv(folder / "choices.csv", [{"id": str(number)} | item for number, item in enumerate(choices)])


def _csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def recall(grams: EvalGrams, file: str, texts: list[str]) -> float:
    """Share of the texts in which the item planted there is the one that is named."""
    quotes = [grams.quote(text) or "" for text in texts]
    return sum(quote.endswith(f"({file}:{number})") for number, quote in enumerate(quotes)) / len(texts)


def main() -> None:
    """The tables."""
    source, params = random.Random(7), load_params().decontaminate
    texts = read(Path(sys.argv[1]))
    source.shuffle(texts)
    aside, others = texts[: len(texts) // 4], texts[len(texts) // 4 :]
    long_items, short_items = sentences(aside, MIN_LETTERS, MAX_LETTERS)[:ITEMS], sentences(aside, 8, 12)[:ITEMS]
    choices = choice_items(source, aside)
    with tempfile.TemporaryDirectory() as place:
        written(Path(place), {"long": long_items, "short": short_items}, choices)
        grams = load_evals(Path(place), params.fields, params.ngram)
        both = load_evals(Path(place), params.fields, params.ngram, True) if find_spec("opencc") else None
    hosts = [text for text in others if grams.quote(text) is None]
    print(
        f"{len(long_items)} long items, {len(short_items)} short ones, {len(choices)} of choices\n\n| leak | recall |\n|---|--:|"
    )

    def told(kind: str, file: str, leaks: list[str], used: EvalGrams = grams) -> None:
        print(f"| {kind} | {recall(used, file, [planted(source, source.choice(hosts), leak) for leak in leaks]):.3f} |")

    for kind, changer in CHANGERS.items():
        told(kind, "long.csv", [changer(source, text) for text in long_items])
    told("short, whole", "short.csv", short_items)
    told("short, 1 character edited", "short.csv", [changed(source, text, 1) for text in short_items])
    told(
        "choices, lettered",
        "choices.csv",
        [f"{c['question']} A. {c['A']} B. {c['B']} C. {c['C']} D. {c['D']}" for c in choices],
    )
    told(
        "choices, plain",
        "choices.csv",
        [f"{c['question']}（ ）{c['A']}；{c['B']}；{c['C']}；{c['D']}" for c in choices],
    )
    if both:
        import opencc

        traditional = [opencc.OpenCC("s2t").convert(text) for text in long_items]
        told("traditional script", "long.csv", traditional)
        told("traditional script, both_scripts", "long.csv", traditional, both)
    start = time.perf_counter()
    spans = grams.overlaps(bare_all(others))
    seconds = time.perf_counter() - start
    hits = [f"{span} ({grams.owner(span)})" for span in spans if span]
    print(f"\n{len(hits)} of {len(others):,} texts without leaks were hit; {len(others) / seconds:,.0f} texts a second")
    for hit in source.sample(hits, min(10, len(hits))):
        print(" ", hit)


if __name__ == "__main__":
    main()
