"""Simplified and traditional script, by the optional package opencc."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Literal, cast

from kun.errors import ConfigError


@cache
def converter(to: Literal["t2s", "s2t"], key: str) -> Callable[[str], str]:
    """Traditional to simplified or back; `key` of params.yaml asks for it, and is named when opencc is missing."""
    try:
        opencc = import_module("opencc")
    except ModuleNotFoundError:
        raise ConfigError(f"{key} needs the package opencc: pip install opencc, or set it to false") from None
    return cast(Callable[[str], str], opencc.OpenCC(to).convert)
