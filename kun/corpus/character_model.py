"""Loss of texts under an n-gram model over characters, by the optional package kenlm: needs no GPU.

cc_net scores pieces of a SentencePiece model, one for each language; single characters are the usual unit for Chinese, and
need no second model. White space is no token, as it parts tokens in KenLM's files.
"""

import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from kun.errors import ConfigError, InputError

SUFFIXES = (".arpa", ".bin", ".binary", ".klm")

CharacterLoss = Callable[[str], tuple[float, int]]
"""Text -> (sum of the losses in nats, characters)."""


def load_character_loss(place: Path) -> CharacterLoss:
    """The model in a file, or in a folder that holds one; each character is scored given those before it.

    The beginning of the text counts as context, its end is not scored. An unknown character costs what the model's <unk> costs.
    """
    model = _load(_model_file(place))

    def loss(text: str) -> tuple[float, int]:
        characters = [character for character in text if not character.isspace()]
        scores = model.full_scores(" ".join(characters), bos=True, eos=False)
        return -math.log(10) * sum(score for score, _, _ in scores), len(characters)

    return loss


def _model_file(place: Path) -> Path:
    if place.is_file():
        return place
    found = [path for path in sorted(place.glob("*")) if path.suffix in SUFFIXES]
    if len(found) != 1:
        raise InputError(
            f"{place} holds {len(found) or 'no'} files of KenLM ({', '.join(SUFFIXES)}); put one there, or name it in "
            "perplexity.kenlm"
        )
    return found[0]


def _load(path: Path) -> Any:
    try:
        kenlm = import_module("kenlm")
    except ModuleNotFoundError:
        raise ConfigError(
            'perplexity.backend: kenlm needs the package kenlm: pip install "kun[kenlm]", or set it to model'
        ) from None
    try:
        return kenlm.Model(str(path))
    except OSError as error:
        raise InputError(f"{path} is no model that KenLM can read: {' '.join(str(error).split())}") from None
