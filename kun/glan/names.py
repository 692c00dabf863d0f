"""Names of nodes, subjects, sessions and concepts: when two are the same, and the ids made of them."""

import re
import unicodedata

from kun.corpus.text import unit_hash
from kun.work.scratch import content_key

_TRAILING = re.compile(r"[\s\.,;:!?。，；：！？、]+$")
_SPACE = re.compile(r"\s+")


def same_name(name: str) -> str:
    """NFKC, lower case, white space collapsed, no punctuation at the end: equal for names that mean the same. Idempotent."""
    return _TRAILING.sub("", _SPACE.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip())


def record_id(**fields: object) -> str:
    """32 hex digits over the fields that make a record what it is: no place, time or random number."""
    return content_key(fields)


def seed_of(*parts: object) -> int:
    """A seed below 2**32 that hangs on `parts` alone."""
    return int(unit_hash(*parts) * 2**32)
