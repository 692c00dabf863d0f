"""Private data of people: found by patterns and check digits, or by a recogniser of the user's own, and masked.

Precision comes first: what a pattern alone cannot tell needs a check digit, a separator or a word in front of it.
"""

import hashlib
import inspect
import re
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import compress
from pathlib import Path
from typing import Any, cast

import polars as pl

from kun.corpus.private_forms import FORMS, LIKELY, Form, Span
from kun.errors import ConfigError

NER_BATCH = 256
"""Texts that a recogniser gets at a time."""

_FOUND = {
    "row": pl.get_index_type(),
    "text": pl.String,
    "masked": pl.String,
    "private": pl.List(pl.String),
    "unwanted": pl.List(pl.String),
}

_FILL = "】"
"""Stands for a found place in the search for the next: no pattern has it, and masks end with it."""


Recogniser = Callable[[list[str]], Sequence[Sequence[tuple[int, int, str]]]]


def mask_private(texts: pl.Series, actions: str | Mapping[str, str] = "mask", ner: str = "") -> pl.DataFrame:
    """One row per text: `text` and `masked` (String), `private` and `unwanted` (lists of kinds, one for each place).

    `masked` has every place as a mask such as 【电话】, `text` only those whose kind `actions` wants masked; `private` names
    all kinds found, `unwanted` those whose action is drop. Texts are expected in the form of `normalise`. `ner` names a
    function ("package.module:function") that finds more; where it meets a pattern, the pattern counts.
    """
    found = _found(texts, load_recogniser(ner) if ner else None)
    rows = pl.DataFrame(
        [_row(row, texts[row], spans, actions) for row, spans in found.items()], schema=_FOUND, orient="row"
    )
    every = texts.to_frame("given").with_row_index("row").join(rows, on="row", how="left", maintain_order="left")
    return every.select(
        pl.coalesce("text", "given").alias("text"),
        pl.coalesce("masked", "given").alias("masked"),
        pl.col("private", "unwanted").fill_null([]),
    )


def _row(row: int, text: str, spans: list[Span], actions: str | Mapping[str, str]) -> tuple[Any, ...]:
    acts = [action_for(span.kind, actions) for span in spans]
    wanted = [span for span, act in zip(spans, acts, strict=True) if act == "mask"]
    unwanted = [span.kind for span, act in zip(spans, acts, strict=True) if act == "drop"]
    return row, masked(text, wanted), masked(text, spans), [span.kind for span in spans], unwanted


def action_for(kind: str, actions: str | Mapping[str, str]) -> str:
    """drop, mask or keep: one for all kinds, or by kind with `default` for the others (drop if it is not given)."""
    return actions if isinstance(actions, str) else actions.get(kind, actions.get("default", "drop"))


def masked(text: str, spans: Sequence[Span]) -> str:
    """The text with 【kind】 in place of each span (in order, apart)."""
    pieces, end = [], 0
    for span in spans:
        pieces += [text[end : span.start], f"【{span.kind}】"]
        end = span.end
    return "".join([*pieces, text[end:]])


def find_private(text: str, forms: Iterable[Form] | None = None) -> list[Span]:
    """All places, in order and apart. What is found is blanked, and the search starts anew until nothing is found.

    So a masked text has nothing left that was only hidden by its neighbour: masking is idempotent.
    """
    forms = FORMS if forms is None else list(forms)
    spans: list[Span] = []
    size = -1
    while len(spans) > size:
        size = len(spans)
        for form in forms:
            for span in form.places(text):
                insort(spans, span)
                text = text[: span.start] + _FILL * (span.end - span.start) + text[span.end :]
    return spans


def _found(texts: pl.Series, recogniser: Recogniser | None) -> dict[int, list[Span]]:
    """Row -> its places, for rows that have some; triggers let few texts through to Python, each with few forms."""
    # All forms in one pattern would be an automaton too large to be quick: 20 times slower than one by one.
    likely = texts.to_frame("text").with_row_index("row").filter(LIKELY)
    hits = likely.select("row", "text", *(form.likely() for form in FORMS))
    found: dict[int, list[Span]] = {}
    for row, text, *triggered in hits.iter_rows():
        if any(triggered) and (spans := find_private(text, compress(FORMS, triggered))):
            found[row] = spans
    if recogniser:
        for row, spans in enumerate(_recognised(texts.to_list(), recogniser)):
            if joined := _joined(found.get(row, []), spans):
                found[row] = joined
    return found


def _joined(first: list[Span], second: list[Span]) -> list[Span]:
    """All of the first, and of the second what overlaps nothing before it."""
    spans = [*first]
    for span in second:
        if all(span.end <= other.start or other.end <= span.start for other in spans):
            insort(spans, span)
    return spans


def load_recogniser(path: str) -> Recogniser:
    """The function at "package.module:function", which must be installed; it takes a list of texts."""
    module, _, name = path.partition(":")
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"clean.ner: {path!r} is not an installed package.module:function ({error})") from None
    if not callable(function):
        raise ConfigError(f"clean.ner: {path!r} is no function")
    return cast(Recogniser, function)


def recogniser_key(path: str) -> str:
    """Hash of the module's file: another version of it finds other places. What it imports is not looked at."""
    file = inspect.getsourcefile(load_recogniser(path))
    return hashlib.blake2b(Path(file).read_bytes(), digest_size=16).hexdigest() if file else ""


def _recognised(texts: list[str], recogniser: Recogniser) -> Iterator[list[Span]]:
    """What the recogniser finds in each text, checked, in order."""
    for first in range(0, len(texts), NER_BATCH):
        batch = texts[first : first + NER_BATCH]
        answers = recogniser(batch)
        if len(answers) != len(batch):
            raise ConfigError(f"clean.ner: {len(batch)} texts went in, {len(answers)} lists of spans came back")
        for text, answer in zip(batch, answers, strict=True):
            yield sorted(_checked(text, span) for span in answer)


def _checked(text: str, span: tuple[int, int, str]) -> Span:
    start, end, kind = span
    if not (0 <= start < end <= len(text)) or not re.fullmatch(r"[^\W\d_]{1,20}", kind):
        raise ConfigError(f"clean.ner: {span!r} is no (start, end, kind) of a text of {len(text)} characters")
    return Span(int(start), int(end), kind)
