"""What rows of tokens begin with in common, and what tells them apart."""

SHARED = 64
"""Tokens that rows must begin with in common for their beginning to be computed once for all."""
SAVED = 0.2
"""Share of the places, padding included, that this must save."""
WIDER = 0.25
"""Share by which the padding between a beginning and its rest may lengthen the longest row: the batch was planned for that."""


def shared_prefixes(rows: list[list[int]]) -> tuple[list[list[int]], list[int]]:
    """Beginnings of rows, and which of them each row has; at least one token of each row is left over.

    Rows of the same first SHARED tokens share what they have in common, and of a row without company all but its last token
    counts as its beginning. Where that would not save SAVED of the places, or would make rows longer by WIDER, every row is a
    beginning of its own.
    """
    alike: dict[tuple[int, ...], list[list[int]]] = {}
    for row in rows:
        alike.setdefault(tuple(row[:SHARED]), []).append(row)
    heads = [members[0][: shared_prefix(members)] for members in alike.values()]
    number = {start: place for place, start in enumerate(alike)}
    owners = [number[tuple(row[:SHARED])] for row in rows]
    longest_head, longest_row = max(map(len, heads)), max(map(len, rows))
    longest_rest = max(len(row) - len(heads[owner]) for row, owner in zip(rows, owners, strict=True))
    places = len(heads) * longest_head + len(rows) * longest_rest
    costly = places > (1 - SAVED) * len(rows) * longest_row or longest_head + longest_rest > (1 + WIDER) * longest_row
    if min(map(len, heads)) == 0 or costly:
        return rows, list(range(len(rows)))
    return heads, owners


def telling_prefixes(rows: list[list[int]]) -> list[list[int]]:
    """Each row up to the token that tells it from all others; rows of which one begins another stay whole."""
    return [
        row[: 1 + max((_common(row, other) for place, other in enumerate(rows) if place != index), default=len(row))]
        for index, row in enumerate(rows)
    ]


def shared_prefix(rows: list[list[int]]) -> int:
    """How many leading tokens all rows have in common, at least one token of each row left over."""
    return max(min(_common(min(rows), max(rows)), min(map(len, rows)) - 1), 0)


def _common(left: list[int], right: list[int]) -> int:
    """How many leading tokens two rows have in common."""
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
