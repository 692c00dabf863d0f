"""Tables of pairs that an oracle rewrites."""

import polars as pl

from kun.schemas.schema import Schema

REFLECTED: Schema = {
    "id": pl.String,
    "critique": pl.String,  # what the oracle finds weak; "" when its reply was refused
    "instruction": pl.String,  # the new version, a whole pair; all three "" when there is none
    "input": pl.String,
    "output": pl.String,
    "status": pl.String,  # "new"; "unchanged": the oracle bettered nothing; "failed": no reply could be used; "skipped"
    "reason": pl.String,  # why there is no new version, "" where there is one
    "value": pl.String,  # what the refusal saw
    "tries": pl.Int64,  # replies that were asked for
    "reply": pl.String,  # the last reply where it was refused, "" otherwise
}
"""data/reflection/instructions (a harder instruction and its answer) and data/reflection/answers (another answer)."""

_VERSION: Schema = {
    "instruction": pl.String,
    "input": pl.String,
    "output": pl.String,
    "s_cond": pl.Float64,  # this and the next three as in LOSSES, by the student
    "s_direct": pl.Float64,
    "s_rcond": pl.Float64,
    "s_rdirect": pl.Float64,
    "ifd": pl.Float64,  # perplexity of the answer given the instruction / without it; null without score
    "rifd": pl.Float64,  # perplexity of the instruction given the answer / without it; null without score
    "scored": pl.String,  # "ok", or why scores are missing or weak, as `reason` in LOSSES; "" where there is no version
}

CHOICE: Schema = {
    "id": pl.String,
    "source": pl.String,
    "licence": pl.String,
    **{f"old_{name}": kind for name, kind in _VERSION.items()},
    **{f"new_{name}": kind for name, kind in _VERSION.items()},
    "choice": pl.String,  # "old" or "new": which version goes on
    "reason": pl.String,  # "better", or why the old one stays
}
"""data/reflection/by_ifd (pairs before and after the new instruction) and data/reflection/by_rifd (the winner, and its new
answer): all that the student was shown, and what it took."""
