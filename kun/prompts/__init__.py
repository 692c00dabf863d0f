"""Prompts are files: <lang>/<name>.j2. The same function renders them for training and for inference."""

from functools import cache
from pathlib import Path

import jinja2

FOLDER = Path(__file__).parent
_environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)


def render(name: str, lang: str, **fields: str) -> str:
    """Fill a prompt; every field that it names must be given."""
    return _template(name, lang).render(**fields)


@cache
def _template(name: str, lang: str) -> jinja2.Template:
    return _environment.from_string((FOLDER / lang / f"{name}.j2").read_text(encoding="utf-8"))
